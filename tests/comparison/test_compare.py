"""The main job end to end: methods x seeds on small arrays, ranked, resumed, extended, refused."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.cases import cases

import longtail as lt
from longtail.catalogue.method import Method
from longtail.comparison import OutputError, TaskResult, compare, prepare
from longtail.comparison import execute as execution
from longtail.comparison.estimate import estimate
from longtail.methods import registry as catalog
from longtail.methods.supervised import plain

Rows = dict[Path, int]


def arrays(counts: tuple[int, ...] = (60, 24, 8), seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(counts)), counts)
    return generator.normal(size=(len(y), 3)) + y[:, None], y


X, Y = arrays()
SMALL: dict[str, Any] = {"epochs": 2, "jobs": 1, "model": "linear"}
METHODS = "ce,ldam-drw,logit-adjusted-posthoc"


def run(out: Path | None = None, **changes: Any) -> Any:
    return compare(X, Y, out=out, **{"methods": METHODS, "seeds": 2, **SMALL, **changes})


def stamps(out: Path) -> Rows:
    return {path: path.stat().st_mtime_ns for path in sorted(out.glob("*/seed-*/run.json"))}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    out = tmp_path_factory.mktemp("done") / "out"
    return run(out), out


class TestResult:
    def test_rows_are_ranked_by_the_metric(self, done: tuple[Any, Path]) -> None:
        result, _ = done
        means = [row["mean"]["balanced_accuracy"] for row in result.rows]
        assert means == sorted(means, reverse=True)
        assert {row["method"] for row in result.rows} == {"ce", "ldam-drw", "logit-adjusted-posthoc"}
        assert result.ok

    def test_mean_deviation_recall_and_seconds_are_those_of_the_runs(self, done: tuple[Any, Path]) -> None:
        result, out = done
        for row in result.rows:
            runs = [json.loads((out / r["folder"] / "run.json").read_text()) for r in row["runs"]]
            assert [r["seed"] for r in runs] == [0, 1]
            scores = [r["scores"]["balanced_accuracy"] for r in runs]
            assert row["mean"]["balanced_accuracy"] == pytest.approx(sum(scores) / 2)
            deviation = abs(scores[0] - scores[1]) / 2**0.5
            assert row["std"]["balanced_accuracy"] == pytest.approx(deviation)
            recalls = [r["scores"]["per_class"]["recall"] for r in runs]
            assert row["recall"] == pytest.approx([(a + b) / 2 for a, b in zip(*recalls, strict=True)])
            assert row["seconds"] == pytest.approx(sum(r["seconds"] for r in runs) / 2)

    def test_the_difference_is_the_mean_over_seeds_of_what_is_paired(self, done: tuple[Any, Path]) -> None:
        rows = {row["method"]: row for row in done[0].rows}
        assert rows["ce"]["difference"] is None
        for method in ("ldam-drw", "logit-adjusted-posthoc"):
            pairs = zip(rows[method]["runs"], rows["ce"]["runs"], strict=True)
            found = rows[method]["difference"]
            assert found["mean"] == pytest.approx(
                sum(a["balanced_accuracy"] - b["balanced_accuracy"] for a, b in pairs) / 2
            )
            assert found["low"] <= found["mean"] <= found["high"]

    def test_plain_training_is_always_among_them_and_first_to_train(self) -> None:
        result = run(methods="logit-adjusted-posthoc", seeds=1)
        rows = {row["method"]: row for row in result.rows}
        assert set(rows) == {"ce", "logit-adjusted-posthoc"}
        assert rows["ce"]["reuses"] is None
        assert rows["logit-adjusted-posthoc"]["reuses"].startswith("ce-")

    def test_a_post_hoc_row_is_told_to_share_a_training(self, done: tuple[Any, Path]) -> None:
        row = next(row for row in done[0].rows if row["method"] == "logit-adjusted-posthoc")
        assert not row["retrains"]
        assert row["reuses"].startswith("ce-")
        assert "shares the training of another row (logit-adjusted-posthoc)" in repr(done[0])

    def test_it_shows_itself(self, done: tuple[Any, Path]) -> None:
        result, _ = done
        for shown in (repr(result), result.to_markdown(), result._repr_html_()):
            assert "ldam-drw" in shown
            assert "92 training examples" not in shown
            assert "3 classes" in shown
        assert result._repr_html_().startswith("<table>")
        assert result.to_markdown().startswith("| method |")
        assert result.verdict in repr(result)
        assert result.verdict.endswith(".")

    def test_another_metric_ranks_by_it(self) -> None:
        result = run(metric="accuracy", seeds=1)
        means = [row["mean"]["accuracy"] for row in result.rows]
        assert means == sorted(means, reverse=True)
        assert result.summary["metric"] == "accuracy"

    def test_one_seed_is_said_to_tell_of_test_examples_only(self) -> None:
        result = run(seeds=1)
        assert "one seed" in repr(result)
        assert all(row["std"]["balanced_accuracy"] is None for row in result.rows)

    def test_plain_training_alone_gives_no_verdict(self) -> None:
        result = run(methods="ce", seeds=1)
        assert result.summary["verdict"] is None
        assert result.verdict == (
            "No verdict: ce is the reference, and no other method was named to compare with it; name more (--methods), "
            "or another reference (--baseline METHOD)."
        )

    def test_a_validation_part_lets_the_threshold_join(self) -> None:
        result = run(methods="quick", val=0.2, seeds=1, epochs=1)
        assert "ce-threshold" in {row["method"] for row in result.rows}
        assert result.summary["data"]["facts"]["val"] == 0.2

    def test_without_a_folder_nothing_is_left_behind(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        result = run(methods="ce", seeds=1)
        assert result.out is None
        assert list(tmp_path.iterdir()) == []

    def test_it_is_reached_from_the_top(self) -> None:
        assert lt.compare is compare


class TestFiles:
    def test_are_written_and_agree(self, done: tuple[Any, Path]) -> None:
        result, out = done
        summary = json.loads((out / "comparison.json").read_text())
        assert summary == json.loads(json.dumps(result.summary))
        assert summary["schema_version"] == 1
        assert summary["command"].startswith("longtail.compare(X, y, methods=")
        assert {"longtail", "torch", "platform", "threads of a run"} <= set(summary["versions"])
        for row in summary["rows"]:  # all seeds test the same rows
            matrix = row["confusion"]["matrix"]
            recall = [line[j] / sum(line) if sum(line) else None for j, line in enumerate(matrix)]
            assert recall == pytest.approx(row["recall"], rel=1e-6)
            assert 0 < len(row["curves"]) <= len(matrix)
        assert (out / "comparison.md").read_text() == result.to_markdown()
        with open(out / "comparison.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [r["method"] for r in rows] == [r["method"] for r in result.rows]
        assert [float(r["balanced_accuracy"]) for r in rows] == [r["mean"]["balanced_accuracy"] for r in result.rows]

    def test_the_picture_is_drawn_where_it_can_be(self, drawn: None, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib")
        run(tmp_path / "out", methods="ce", seeds=1)
        assert (tmp_path / "out" / "recall.svg").read_text().lstrip().startswith("<?xml")

    def test_every_run_stands_in_its_own_folder(self, done: tuple[Any, Path]) -> None:
        _, out = done
        assert {path.parent.parent.name.rsplit("-", 1)[0] for path in stamps(out)} == {
            "ce", "ldam-drw", "logit-adjusted-posthoc",
        }  # fmt: skip
        for path in stamps(out):
            folder = path.parent
            assert {"config.json", "metrics.jsonl", "model.safetensors", "meta.json", "predictions.safetensors"} <= {
                p.name for p in folder.iterdir()
            }
            assert len((folder / "metrics.jsonl").read_text().splitlines()) == 2
        assert not list(out.rglob("*.tmp"))


class TestAgain:
    def test_finished_runs_are_skipped(self, tmp_path: Path) -> None:
        first = run(tmp_path)
        before = stamps(tmp_path)
        begun: list[TaskResult] = []
        again = run(tmp_path, on_result=begun.append)
        assert begun == []
        assert stamps(tmp_path) == before
        assert again.summary == first.summary

    def test_more_seeds_and_methods_extend(self, tmp_path: Path) -> None:
        run(tmp_path, methods="ldam", seeds=1)
        before = stamps(tmp_path)
        more = run(tmp_path, methods="focal", seeds=2)
        assert {path: stamps(tmp_path)[path] for path in before} == before
        assert {row["method"] for row in more.rows} == {"ce", "ldam", "focal"}
        assert all(len(row["runs"]) == 2 for row in more.rows)
        fewer = run(tmp_path, methods="ce", seeds=1)
        # all is as before but for what was asked last
        commands = {"command": None, "earlier_commands": None}
        assert fewer.summary | commands == more.summary | commands
        assert fewer.summary["earlier_commands"][-1] == more.summary["command"]
        assert len(fewer.summary["earlier_commands"]) == 2

    def test_one_that_was_deleted_is_run_again(self, tmp_path: Path) -> None:
        run(tmp_path)
        before = stamps(tmp_path)
        gone = next(path for path in before if path.parent.parent.name.startswith("ldam"))
        (gone).unlink()
        begun: list[TaskResult] = []
        run(tmp_path, on_result=begun.append)
        assert [(o.task.spec, o.error) for o in begun] == [("ldam-drw", None)]

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"epochs": 3}, "recipe.epochs is 2 there, 3 was asked"),
            ({"lr": 0.01}, "recipe.lr is 0.1 there, 0.01 was asked"),
            ({"ratio": 4.0}, "data.facts.ratio is None there, 4.0 was asked"),
            ({"val": 0.2}, "data.facts.val is None there, 0.2 was asked"),
        ],
    )
    def test_another_configuration_is_refused_by_its_difference(
        self, done: tuple[Any, Path], change: dict[str, Any], told: str
    ) -> None:
        _, out = done
        before = stamps(out)
        with pytest.raises(ValueError, match=f"holds another comparison: {told}; choose another --out") as found:
            run(out, **change)
        assert "\n" not in str(found.value)
        assert stamps(out) == before

    def test_other_data_are_refused(self, done: tuple[Any, Path]) -> None:
        other, y = arrays(seed=1)
        with pytest.raises(ValueError, match=r"holds another comparison: data.hash is"):
            compare(other, y, out=done[1], methods="ce", seeds=1, **SMALL)


def broken(*seeds: int) -> Callable[[], Method]:
    """A method whose training fails, for some seeds or for all."""

    def builder() -> Method:
        from longtail.catalogue.method import one_stage
        from longtail.catalogue.references import cited

        def loss(counts: Any) -> Any:
            import torch

            if not seeds or torch.initial_seed() in starts:
                raise RuntimeError("out of order\nsecond line")
            return plain.losses.CrossEntropyLoss()

        from longtail.engine.randomness import derived

        starts = {derived(seed, 0, 0, "build") for seed in seeds}
        return Method(one_stage(loss, spec=f"broken{seeds}"), cited("good1952rational"))

    return builder


class TestFailure:
    def test_the_others_go_on_and_it_is_said(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setitem(catalog.CATALOG, "broken", broken())
        result = run(tmp_path, methods="broken,ldam")
        assert not result.ok
        assert {row["method"] for row in result.rows} == {"ce", "ldam"}
        assert result.summary["failed"] == [
            {"method": "broken", "seed": s, "error": "RuntimeError: out of order"} for s in (0, 1)
        ]
        for shown in (repr(result), result.to_markdown(), result._repr_html_()):
            assert "FAILED: broken, seed 0: RuntimeError: out of order" in shown
            assert "not begun" not in shown
        assert result.summary["verdict"] is not None

    def test_it_is_tried_again(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setitem(catalog.CATALOG, "broken", broken())
        run(tmp_path, methods="broken", seeds=1)
        monkeypatch.setitem(catalog.CATALOG, "broken", broken(99))
        assert run(tmp_path, methods="broken", seeds=1).ok

    def test_a_seed_that_fails_leaves_the_other_seeds_compared(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(catalog.CATALOG, "broken", broken(1))
        result = run(methods="broken,ldam")
        rows = {row["method"]: row for row in result.rows}
        assert [r["seed"] for r in rows["broken"]["runs"]] == [0]
        assert rows["broken"]["difference"] is not None
        assert any("fewer seeds: broken (1 of 2)" in note for note in result.summary["verdict"]["statistics"]["notes"])

    def test_without_a_seed_in_common_there_is_a_table_but_no_difference(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(catalog.CATALOG, "ce", broken(0))
        monkeypatch.setitem(catalog.CATALOG, "broken", broken(1))
        result = run(methods="broken,ldam")
        rows = {row["method"]: row for row in result.rows}
        assert rows["broken"].get("difference") is None
        assert rows["ldam"]["difference"] is not None
        assert "ldam" in result.verdict

    def test_no_run_at_all_still_says_what_happened(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(catalog.CATALOG, "ce", broken())
        result = run(methods="ce", seeds=1)
        assert result.rows == []
        assert "FAILED: ce, seed 0" in repr(result)
        assert "FAILED: ce, seed 0" in result.to_markdown()

    def test_a_loss_that_is_not_finite_names_the_place(self) -> None:
        result = run(methods="ce", seeds=1, lr=1e20)
        assert result.summary["failed"][0]["error"].startswith("FinitenessError: the loss must stay finite")
        assert "in stage train, epoch" in result.summary["failed"][0]["error"]


class TestLimits:
    def test_a_budget_stops_and_the_same_call_goes_on(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = iter(range(1000))
        times = SimpleNamespace(monotonic=lambda: next(clock), perf_counter=time.perf_counter)
        monkeypatch.setattr(execution, "time", times)
        stopped = run(tmp_path, budget=3)  # two runs are begun, at 1 and 2
        assert stopped.ok
        assert len(stamps(tmp_path)) == 2
        assert len(stopped.summary["missing"]) == 4
        assert "4 runs were not begun; give the same command again" in repr(stopped)
        before = stamps(tmp_path)
        full = run(tmp_path)
        assert len(stamps(tmp_path)) == 6
        assert {path: stamps(tmp_path)[path] for path in before} == before
        assert "not begun" not in repr(full)

    @cases(
        ("change", "message"),
        [
            ({"seeds": 0}, "seeds must be an integer >= 1, got 0; 3 is usual"),
            ({"seeds": 2.5}, "seeds must be an integer >= 1, got 2.5"),
            ({"seeds": True}, "seeds must be an integer >= 1, got True"),
            ({"metric": "auc"}, "metric must be a metric that longtail has, got 'auc'; did you mean roc_auc"),
            ({"jobs": 0}, "jobs must be an integer >= 1, got 0; leave it out for one per core"),
            ({"jobs": -1}, "jobs must be an integer >= 1, got -1"),
            ({"budget": 0}, "budget must be > 0 seconds, got 0; leave it out for no limit"),
            ({"epochs": 0}, "epochs must be an integer >= 1, got 0"),
            ({"model": "resnet"}, r"model must be one of auto, linear, mlp, convnet.*, got 'resnet'"),
            ({"model": "convnet"}, "for a convnet"),
            ({"methods": "ldam-dwr"}, "unknown method 'ldam-dwr'; did you mean ldam-drw"),
            ({"methods": "ce-threshold"}, "'ce-threshold' needs a validation part, got none; add --val 0.2"),
            ({"epoch": 3}, r"unknown option 'epoch'; did you mean 'epochs'\?"),
            ({"xyzzy": 3}, "unknown option 'xyzzy'; known are label, "),
            ({"ratio": 0.5}, "ratio must be >= 1"),
            ({"profile": "linear"}, "profile must be"),
        ],
    )
    def test_bad_arguments_are_one_line_before_anything_is_written(
        self, tmp_path: Path, change: dict[str, Any], message: str
    ) -> None:
        with pytest.raises((ValueError, TypeError), match=message) as found:
            run(tmp_path / "out", **change)
        assert "\n" not in str(found.value)
        assert not (tmp_path / "out").exists()

    def test_names_and_numbers_are_checked_before_data_are_loaded(self) -> None:
        for change, message in (
            ({"methods": "x"}, "unknown method"), ({"epochs": 0}, "epochs"), ({"epoch": 1}, "unknown option"),
            ({"jobs": 0}, "jobs"),
        ):  # fmt: skip
            with pytest.raises((ValueError, TypeError), match=message):
                compare("nowhere.npz", **change)  # type: ignore[arg-type]

    def test_a_folder_under_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(ValueError, match=r"--out .*file/out cannot be written \(.*\); choose another folder"):
            run(tmp_path / "file" / "out")

    def test_a_folder_that_fills_up_keeps_what_is_finished(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from longtail.facts import files

        write = files.write_bytes

        def filling(path: Path, data: bytes) -> None:
            if path.name == "state.safetensors" and list(tmp_path.glob("*/seed-0/run.json")):
                raise OSError(28, "No space left on device", str(path))
            write(path, data)

        monkeypatch.setattr(files, "write_bytes", filling)
        message = r"cannot write .*state.safetensors \(No space left on device\); finished runs are kept, make room"
        with pytest.raises(OutputError, match=message):
            run(tmp_path)
        assert len(stamps(tmp_path)) == 1
        monkeypatch.undo()
        assert run(tmp_path).ok
        assert len(stamps(tmp_path)) == 6


@pytest.mark.slow
def test_side_by_side_gives_the_same_bytes_as_one_after_another(tmp_path: Path) -> None:
    for jobs in (1, 2):
        run(tmp_path / str(jobs), jobs=jobs, methods="quick")
    found = {
        jobs: {
            p.relative_to(tmp_path / jobs): p.read_bytes()
            for p in (tmp_path / jobs).glob("*/seed-*/predictions.safetensors")
        }
        for jobs in ("1", "2")
    }
    assert len(found["1"]) == 18
    assert found["1"] == found["2"]


class TestEstimate:
    def test_counts_what_is_left_and_writes_nothing(self, tmp_path: Path) -> None:
        options = {"methods": "ldam,logit-adjusted-posthoc", "seeds": 2, "epochs": 2, "model": "linear"}
        found = estimate(prepare(X, Y, out=tmp_path / "out", **options), jobs=1)
        assert found["methods"] == ["ce", "ldam", "logit-adjusted-posthoc"]
        assert (found["runs"], found["finished"], found["trainings"], found["epochs"]) == (6, 0, 4, 2)
        assert found["seconds"] > 0
        assert not (tmp_path / "out").exists()

    def test_knows_what_the_folder_holds(self, done: tuple[Any, Path]) -> None:
        prepared = prepare(X, Y, out=done[1], methods="ldam", epochs=2, model="linear")
        found = estimate(prepared, jobs=1)
        assert (found["runs"], found["finished"]) == (12, 6)
        assert found["seeds"] == 3

    def test_refuses_what_the_run_would_refuse(self, done: tuple[Any, Path]) -> None:
        prepared = prepare(X, Y, out=done[1], methods="ldam", epochs=7, model="linear")
        with pytest.raises(ValueError, match=r"recipe.epochs is 2 there, 7 was asked"):
            estimate(prepared)
