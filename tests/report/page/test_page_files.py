"""From a folder to a page: what is read, what is refused, what one run says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from page_summaries import Parsed, full, write_run

from longtail.cli import run
from longtail.comparison import Comparison
from longtail.report.page.files import write_report
from longtail.report.page.reading import read
from longtail.report.page.single_run import summary_of_run

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A comparison's folder without runs."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "comparison.json").write_text(json.dumps(full()))
    return tmp_path / "runs"


def refused(capsys: Capture, code: int) -> str:
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1), (out, err)
    return err


class TestCommand:
    def test_writes_report_html_into_the_folder(self, folder: Path, capsys: Capture) -> None:
        assert run(["report", str(folder)]) == 0
        assert capsys.readouterr().out.startswith(f"Files: {folder / 'report.html'} (")
        assert (folder / "report.html").read_text().startswith("<!DOCTYPE html>")

    def test_writes_where_it_is_told_and_ignores_findings(self, folder: Path, tmp_path: Path, capsys: Capture) -> None:
        out = tmp_path / "new" / "page.html"
        assert run(["report", str(folder), "--out", str(out), "--ignore", "LT003", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"report": str(out), "bytes": out.stat().st_size}
        assert "Left out by --ignore: LT003." in out.read_text()

    @pytest.mark.parametrize("given", ["LT999", "LT003,x", ","])
    def test_refuses_codes_that_no_finding_has(self, given: str, folder: Path, capsys: Capture) -> None:
        line = refused(capsys, run(["report", str(folder), "--ignore", given]))
        assert "--ignore must be a comma list of codes from LT001 to " in line
        assert not (folder / "report.html").exists()

    def test_refuses_names_that_are_no_page(self, folder: Path, capsys: Capture) -> None:
        before = (folder / "comparison.json").read_bytes()
        line = refused(capsys, run(["report", str(folder), "--out", str(folder / "comparison.json")]))
        assert "--out must be the name of a page" in line
        assert (folder / "comparison.json").read_bytes() == before
        (folder / "x.html").mkdir()
        assert "--out must be a file" in refused(capsys, run(["report", str(folder), "--out", str(folder / "x.html")]))

    @pytest.mark.slow
    def test_does_not_import_torch(self, folder: Path) -> None:
        code = (
            f"import sys; from longtail.cli import run; print(run(['report', {str(folder)!r}]), 'torch' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "0 False"


def test_a_comparison_writes_its_page(tmp_path: Path) -> None:
    comparison = Comparison(full())
    assert comparison.report(tmp_path / "page.html", ignore=["lt003"]) == tmp_path / "page.html"
    assert (tmp_path / "page.html").read_text() == comparison.to_html(ignore=["LT003"])
    with pytest.raises(ValueError, match=r"ignore must be a comma list of codes .*, got 'LT999'"):
        comparison.to_html(ignore=["LT999"])
    with pytest.raises(ValueError, match=r"path must be the name of a page, such as report\.html, got '.*page\.pdf'"):
        comparison.report(tmp_path / "page.pdf")


class TestReading:
    def test_refuses_what_is_no_folder_of_ours(self, tmp_path: Path) -> None:
        for path, words in (
            (tmp_path / "absent", "which does not exist"),
            (tmp_path, "has neither comparison.json nor"),
        ):
            with pytest.raises(ValueError, match=f"RUNS must be a folder of longtail compare.*{words}"):
                read(path)
        (tmp_path / "file").write_text("")
        with pytest.raises(ValueError, match="a file; name the folder"):
            read(tmp_path / "file")
        (tmp_path / "tune.json").write_text("{}")
        with pytest.raises(ValueError, match=r"is one of longtail tune; its table is tune\.md"):
            read(tmp_path)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"rows": [{"method": 3}]}, "rows"),
            ({"data": {"name": "x"}}, r"data\.classes"),
            ({"verdict": "won"}, "verdict"),
            ({"schema_version": 99}, "newer version of longtail"),
        ],
    )
    def test_refuses_a_damaged_or_newer_comparison(self, change: dict[str, Any], words: str, folder: Path) -> None:
        (folder / "comparison.json").write_text(json.dumps(full() | change))
        with pytest.raises(ValueError, match=words):
            read(folder)

    def test_refuses_half_a_file(self, folder: Path) -> None:
        path = folder / "comparison.json"
        path.write_text(path.read_text()[:-30])
        with pytest.raises(ValueError, match=r"comparison\.json is damaged .*give the comparison's command again"):
            read(folder)


class TestOneRun:
    def test_has_scores_and_recall_and_no_verdict(self, tmp_path: Path) -> None:
        target, size = write_report(write_run(tmp_path / "run"))
        parsed = Parsed(target.read_text())
        assert size == target.stat().st_size
        for text in ("ldam on hand", "seed 4, 7 epochs, last epoch", "No verdict: this is one run", "50.0 [15, 85]"):
            assert text in parsed.text
        assert "vs ldam" not in parsed.text
        ids = parsed.values("id")
        assert {"methods", "classes", "commands"} <= set(ids)
        assert not {"differences", "trade-off", "findings"} & set(ids)

    def test_counts_are_expected_where_labels_are_candidate_sets(self, tmp_path: Path) -> None:
        assert summary_of_run(write_run(tmp_path / "run"))["data"]["counts_known"]

    def test_a_changed_run_is_refused(self, tmp_path: Path) -> None:
        folder = write_run(tmp_path / "run")
        text = (folder / "run.json").read_text()
        (folder / "run.json").write_text(text.replace('"seed": 4', '"seed": 5'))
        with pytest.raises(ValueError, match=r"run\.json was changed since it was written"):
            write_report(folder)
        (folder / "config.json").unlink()
        (folder / "run.json").write_text(text)
        with pytest.raises(ValueError, match=r"config\.json is missing"):
            write_report(folder)
