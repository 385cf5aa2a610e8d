"""Comparisons of every task: what they are paired with, what only stands beside, and who is refused before training."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from toys import SPLITS

import longtail as lt
from longtail.catalogue.choose import Presets, choose
from longtail.catalogue.method import Method
from longtail.catalogue.references import Reference
from longtail.catalogue.tasks import TASKS, task_of
from longtail.comparison import comparison as comparisons
from longtail.comparison.estimate import estimate
from longtail.facts import json_documents
from longtail.methods import method, registry
from longtail.report import recall_plot, tables
from longtail.report.comma_separated import comma_separated

ASKED = {
    "supervised": "ce-drw,sam",
    "semi-supervised": "focal,fixmatch",
    "partial": "proden,records",
    "self-supervised": "sdclr",
}
TINY: dict[str, Any] = {"epochs": 2, "batch_size": 16, "lr": 0.2, "model_args": {"hidden": (8,)}}


def other(task: str) -> str | None:
    return task if task == "self-supervised" else None  # all others follow from the data


def compared(task: str, **options: Any) -> comparisons.Comparison:
    """The comparison of a task on its own tiny data."""
    options = {"methods": ASKED[task], "seeds": 2, "task": other(task), "jobs": 1, **TINY, **options}
    return lt.compare(SPLITS[task], **options)


@pytest.fixture(scope="module")
def found() -> dict[str, comparisons.Comparison]:
    """The comparison of each task, made when it is first asked for."""

    class Found(dict[str, comparisons.Comparison]):
        def __missing__(self, task: str) -> comparisons.Comparison:
            self[task] = compared(task)
            return self[task]

    return Found()


class TestAnotherBaseline:
    @pytest.mark.parametrize(
        ("task", "baseline", "kind"),
        [
            ("self-supervised", "ce", "supervised"), ("self-supervised", "focal", "supervised"),
            ("supervised", "simclr", "self-supervised"), ("partial", "ce", "supervised"),
        ],
    )  # fmt: skip
    def test_of_another_task_is_refused_before_training(self, task: str, baseline: str, kind: str) -> None:
        line = f"baseline must be a method of the task, {task}, got '{baseline}', which is {kind}; see longtail methods"
        with pytest.raises(ValueError, match=f"^{line} --task {task}$"):
            compared(task, baseline=baseline)

    def test_is_recommended_where_the_tasks_reference_is_alone(self) -> None:
        result = compared("self-supervised", methods="simclr")
        assert result.verdict.startswith("No verdict: simclr is the reference, and no other method was named")
        assert result.verdict.endswith("or another reference (--baseline random-encoder).")

    def test_may_be_a_context_row_of_its_task(self) -> None:
        summary = compared("self-supervised", baseline="random-encoder", methods="simclr").summary
        roles = {row["method"]: row["role"] for row in summary["rows"]}
        assert roles == {"random-encoder": "reference", "simclr": "method", "ce": "context"}
        assert "random-encoder" in summary["verdict"]["sentence"]

    def test_is_the_reference_of_its_task(self) -> None:
        summary = compared("self-supervised", baseline="sdclr", methods="simclr").summary
        roles = {row["method"]: row["role"] for row in summary["rows"]}
        assert roles == {"sdclr": "reference", "simclr": "method", "ce": "context", "random-encoder": "context"}


class TestTheReference:
    @pytest.mark.parametrize("task", TASKS)
    def test_is_the_tasks_and_stands_in_the_summary(self, found: dict[str, comparisons.Comparison], task: str) -> None:
        summary, reference = found[task].summary, TASKS[task].reference
        assert found[task].ok
        assert (summary["task"], summary["reference"]) == (task, reference)
        roles = {row["method"]: row["role"] for row in summary["rows"]}
        assert [spec for spec, role in roles.items() if role == "reference"] == [reference]
        assert all(roles[spec] == "method" for spec in ASKED[task].split(","))
        # asked or not, every method but the reference has a difference to it
        assert {row["method"] for row in summary["rows"] if row["difference"]} == set(ASKED[task].split(","))
        assert reference in summary["verdict"]["sentence"]

    @pytest.mark.parametrize("task", ["partial", "self-supervised"])
    def test_is_named_by_every_text_and_ce_is_not(self, found: dict[str, comparisons.Comparison], task: str) -> None:
        summary, reference = found[task].summary, TASKS[task].reference
        assert f"vs {reference}" in tables.header(summary)
        assert f"vs_{reference}_mean" in comma_separated(summary).splitlines()[0]
        assert next(iter(recall_plot.recalls(summary))) == reference
        rows = [row for row in summary["rows"] if row["role"] != "context"]
        alone = {**summary, "rows": rows}
        for text in (
            tables.markdown(alone),
            comma_separated(alone),
            recall_plot.text(alone),
            tables.plain(alone),
        ):
            assert not re.search(r"\bce\b", text)
        assert re.search(r"\bce\b", tables.verdict_lines({**alone, "verdict": None})[0]) is None

    def test_stands_beside_an_imbalance_only_where_that_is_known(
        self, found: dict[str, comparisons.Comparison]
    ) -> None:
        nobody_knows = replace(SPLITS["partial"], truth=None)
        unknown = lt.compare(nobody_knows, methods="proden", seeds=1, jobs=1, **TINY).summary
        assert "expected by their candidate sets (ratio unknown)" in tables.about(unknown)[0]
        for task in ("partial", "semi-supervised"):
            counts = torch.bincount(SPLITS[task].truth[: len(SPLITS[task].train)]).tolist()
            assert found[task].summary["data"]["class_counts"] == counts
            assert f"(ratio {counts[0] / counts[-1]:.4g})" in tables.about(found[task].summary)[0]
        # groups and their recalls are by the same counts, here and wherever a run is read again
        (row,) = [row for row in found["partial"].rows if row["method"] == "proden"]
        assert row["mean"]["few"] == row["recall"][2]

    def test_that_is_not_in_the_catalogue_is_one_error_before_anything_is_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delitem(registry.CATALOG, "cc")
        with pytest.raises(ValueError, match=r"^partial methods are compared with 'cc', which is not among .*$"):
            compared("partial", out=tmp_path / "out")
        assert not (tmp_path / "out").exists()

    @pytest.mark.slow
    def test_is_what_an_estimate_measures(self, tmp_path: Path) -> None:
        for task in ("semi-supervised", "partial", "self-supervised"):
            data, asked = SPLITS[task], ASKED[task]
            made = comparisons.prepare(data, methods=asked, task=other(task), out=tmp_path / task, **TINY)
            told = estimate(made, jobs=1)
            assert told["methods"][0] == TASKS[task].reference
            assert told["seconds"] > 0
            assert not (tmp_path / task).exists()


class TestContext:
    """Supervised ce stands beside encoders, and no more than that."""

    def test_stands_in_every_table_and_picture(self, found: dict[str, comparisons.Comparison]) -> None:
        summary = found["self-supervised"].summary
        assert [row["role"] for row in summary["rows"]][-2:] == ["context", "context"]
        beside = [row["method"] for row in summary["rows"][-2:]]
        assert sorted(beside) == ["ce", "random-encoder"]
        assert [line[0] for line in tables.cells(summary)[-2:]] == [f"{method} §" for method in beside]
        assert [line for line in tables.about(summary) if line.startswith("§ context") and ", ".join(beside) in line]
        assert list(csv.DictReader(io.StringIO(comma_separated(summary))))[-1]["role"] == "context"
        assert "| ce § |" in tables.markdown(summary)
        assert list(recall_plot.recalls(summary)) == ["simclr", "sdclr", *beside]
        assert " ce " in recall_plot.text(summary)

    def test_has_no_part_in_verdict_gain_or_simultaneous_family(self, found: dict[str, comparisons.Comparison]) -> None:
        summary = found["self-supervised"].summary
        verdict = summary["verdict"]
        assert [*verdict["winners"], *verdict["losers"], *verdict["undecided"]] == ["sdclr"]
        assert summary["gain"]["method"] == "sdclr"
        assert summary["retraining"] is None
        (ce,) = [row for row in summary["rows"] if row["method"] == "ce"]
        assert ce["difference"] is None
        # one more row beside them leaves the intervals as they are
        more = compared("self-supervised", methods="sdclr,focal").summary
        assert {row["method"] for row in more["rows"] if row["role"] == "context"} == {"ce", "focal", "random-encoder"}
        assert more["verdict"] == verdict


class TestRefused:
    @pytest.mark.parametrize(
        ("task", "spec", "why"),
        [
            (
                "supervised",
                "proden",
                r"partial and needs candidate sets, got one label a row; pass .*\(--candidates\)",
            ),
            (
                "supervised",
                "fixmatch",
                r"needs rows without labels besides, got none; pass unlabeled \(--unlabeled\)",
            ),
            (
                "supervised",
                "simclr",
                r"has no part in a supervised comparison; pass .* \(--task self-supervised\)",
            ),
            ("semi-supervised", "proden", "is partial and needs candidate sets"),
            (
                "semi-supervised",
                "simclr",
                r"no part in a semi-supervised comparison; pass .* \(--task self-supervised\)",
            ),
            ("partial", "ce-drw", "is supervised and needs one label a row, got candidate sets; see"),
            ("partial", "fixmatch", "is semi-supervised and needs one label a row"),
            (
                "self-supervised",
                "fixmatch",
                "no part in a self-supervised comparison; see .* --task self-supervised",
            ),
        ],
    )
    def test_a_method_of_another_task_in_one_line_before_anything_is_written(
        self, tmp_path: Path, task: str, spec: str, why: str
    ) -> None:
        with pytest.raises(
            ValueError, match=f"^method '{spec}' (?=[^\n]*{why})[^\n]*(;|, or) see longtail methods --task [a-z-]+$"
        ):
            compared(task, methods=spec, out=tmp_path / "out")
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("task", "spec"), [("supervised", "fixmatch"), ("supervised", "proden"), ("partial", "ce")]
    )
    def test_when_it_is_trained_by_itself_too(self, tmp_path: Path, task: str, spec: str) -> None:
        with pytest.raises(ValueError, match=f"^method '{spec}' is {method(spec).task} and needs "):
            lt.fit(spec, SPLITS[task], folder=tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_labels_judge_what_is_trained_without_them(self) -> None:
        assert method("simclr").refuses(SPLITS["supervised"].train) is None

    def test_a_task_that_the_data_do_not_have(self) -> None:
        with pytest.raises(ValueError, match=r"^task must be supervised or self-supervised with these data, got 'par"):
            lt.compare(SPLITS["supervised"], task="partial")
        with pytest.raises(ValueError, match=r"^task must be partial with these data, got 'self-supervised'"):
            task_of(SPLITS["partial"].train, asked="self-supervised")

    def test_a_method_without_a_known_task(self) -> None:
        with pytest.raises(ValueError, match=r"^task must be one of supervised, .*, got 'guessing'"):
            Method(lambda recipe: [], Reference("a", "B", "c", "d", 2000), task="guessing")

    def test_another_task_in_the_same_folder(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        compared("supervised", methods="ce", seeds=1, out=out)
        config = json.loads((out / "config.json").read_text())
        assert config["task"] == "supervised"
        with pytest.raises(ValueError, match=r"holds another comparison: task is 'supervised' there, 'self-sup"):
            compared("self-supervised", methods="simclr", seeds=1, out=out)
        # a folder of before there were tasks
        old = {name: value for name, value in config.items() if name not in ("task", "checksum")}
        (out / "config.json").write_text(json.dumps(json_documents.sealed(old)))
        assert compared("supervised", methods="ce", seeds=1, out=out).ok
        with pytest.raises(ValueError, match=r"task is 'supervised' there"):
            compared("self-supervised", methods="simclr", seeds=1, out=out)


class TestPresets:
    PRESETS = Presets({"quick": ("ce", "focal", "fixmatch", "proden", "simclr")})

    @pytest.mark.parametrize(
        ("task", "keys"),
        [
            ("supervised", ["ce", "focal"]),
            ("semi-supervised", ["fixmatch"]),
            ("partial", ["proden"]),
            ("self-supervised", ["simclr"]),
        ],
    )
    def test_mean_their_methods_of_the_task(self, task: str, keys: list[str]) -> None:
        chosen = choose("quick", registry.catalogue(), self.PRESETS, task=task)
        assert [one.key for one in chosen] == keys

    def test_without_any_of_the_task_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"^methods must not be empty, got none that is semi-supervised; name "):
            lt.compare(SPLITS["semi-supervised"], methods="estimators")

    def test_leave_named_supervised_methods_beside_semi_supervised_ones(self) -> None:
        chosen = choose("quick,focal", registry.catalogue(), self.PRESETS, task="semi-supervised")
        assert [one.key for one in chosen] == ["fixmatch", "focal"]


def test_the_task_follows_from_what_is_known_of_the_labels() -> None:
    for task, splits in SPLITS.items():
        assert task_of(splits.train, splits.unlabeled, other(task)) == task
    assert not torch.equal(SPLITS["semi-supervised"].class_counts, SPLITS["supervised"].class_counts)


@pytest.mark.parametrize("folds", [None, 3])
def test_the_table_says_how_many_pseudo_labels_a_correction_changed(folds: int | None, tmp_path: Path) -> None:
    data = SPLITS["semi-supervised"]
    options: dict[str, Any] = {"methods": ["darp", "fixmatch"], "out": tmp_path}
    if folds is not None:
        labels = torch.cat([data.train.targets, torch.full((len(data.unlabeled),), -1)])
        rows = torch.cat([data.train.inputs, data.unlabeled.inputs])
        result = lt.compare(
            rows.numpy(), labels.numpy(), unlabeled="same", folds=folds, seeds=1, jobs=1, **TINY, **options
        )
    else:
        result = compared("semi-supervised", **options)
    rows_by_key = {row["key"]: row for row in result.rows}
    assert "changed" not in rows_by_key["fixmatch"]
    folder = tmp_path / rows_by_key["darp"]["runs"][0]["folder"]
    lines = [path.read_text().splitlines()[-1] for path in sorted(folder.parent.rglob("metrics.jsonl"))]
    shares = [json.loads(line)["changed"] for line in lines]
    assert len(shares) == (2 if folds is None else 3)
    assert rows_by_key["darp"]["changed"] == pytest.approx(sum(shares) / len(shares))
    assert 0 < rows_by_key["darp"]["changed"] < 1
    note = f"darp changed {100 * rows_by_key['darp']['changed']:.1f} % of the pseudo-labels in the last epoch"
    assert note in re.sub(r"\s+", " ", tables.plain(result.summary))
