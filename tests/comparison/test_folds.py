"""Cross-validated comparisons: every example is tested once, and tables, differences and verdict read it as ever."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from sklearn.metrics import accuracy_score, f1_score
from tests.forked import SERVER

from longtail.comparison import TaskResult, compare, prepare
from longtail.comparison.estimate import estimate
from longtail.data import Examples
from longtail.data.pool import Pool
from longtail.data.split.folds import Folds
from longtail.engine import Recipe
from longtail.facts import files
from longtail.runs.cross_validation import train_folds
from longtail.runs.run import Run

COUNTS = (40, 17, 8, 3, 1)
METHODS = "ce,ldam,logit-adjusted-posthoc"
SMALL: dict[str, Any] = {"epochs": 2, "jobs": 1, "model": "linear"}


def pool(counts: tuple[int, ...] = COUNTS, seed: int = 0, **more: Any) -> Pool:
    generator = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(counts)), counts)
    generator.shuffle(y)
    inputs = torch.from_numpy((generator.normal(size=(len(y), 3)) + y[:, None]).astype(np.float32))
    classes = tuple(f"c{j}" for j in range(len(counts)))
    rows = Examples(inputs, torch.from_numpy(y), classes)
    return Pool("toy", rows, rows.targets, classes, facts={"source": "toy"}, **more)


def run(out: Path | None = None, data: Pool | None = None, **changes: Any) -> Any:
    return compare(data or pool(), out=out, **{"methods": METHODS, "seeds": 2, "folds": 3, **SMALL, **changes})


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    out = tmp_path_factory.mktemp("done") / "out"
    return run(out), out


def mean_recall(targets: np.ndarray, decided: np.ndarray) -> float:
    return float(np.mean([(decided == j)[targets == j].mean() for j in np.unique(targets)]))


def stamps(out: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in sorted(out.rglob("run.json"))}


def predictions(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("predictions.safetensors"))
    }


class TestResult:
    def test_every_run_tests_every_example_once_but_the_only_one_of_its_class(self, done: tuple[Any, Path]) -> None:
        targets = pool().targets.numpy()
        paths = sorted(done[1].glob("*/seed-*/predictions.safetensors"))
        assert len(paths) == 6
        for path in paths:
            arrays = load_file(path)
            assert arrays["index"].tolist() == np.flatnonzero(targets != 4).tolist()
            assert (arrays["targets"] == targets[arrays["index"]]).all()
            assert set(arrays["fold"].tolist()) == {0, 1, 2}
            assert arrays["scores"].shape == (68, 5)

    def test_an_example_is_predicted_by_the_fold_that_did_not_train_on_it(self, done: tuple[Any, Path]) -> None:
        folds = Folds(pool(), 3)
        for folder in done[1].glob("ldam-*/seed-1"):
            arrays = load_file(folder / "predictions.safetensors")
            for fold in range(3):
                splits = folds.splits(1, fold)
                own = Run.load(folder / f"fold-{fold}").predictor.scores(splits.test.inputs)  # type: ignore[union-attr]
                rows = np.flatnonzero(arrays["fold"] == fold)
                assert np.allclose(arrays["scores"][rows], own.numpy(), atol=1e-6)
                assert (folds.partition(1)[arrays["index"][rows]] == fold).all()

    def test_scores_are_those_of_all_predictions_together(self, done: tuple[Any, Path]) -> None:
        result, out = done
        for row in result.rows:
            for one in row["runs"]:
                arrays = load_file(out / one["folder"] / "predictions.safetensors")
                decided = arrays.get("adjusted_scores", arrays["scores"]).argmax(1)
                scores = json.loads((out / one["folder"] / "run.json").read_text())["scores"]
                assert scores["accuracy"] == pytest.approx(accuracy_score(arrays["targets"], decided), abs=1e-12)
                assert scores["balanced_accuracy"] == pytest.approx(mean_recall(arrays["targets"], decided), abs=1e-12)
                macro = f1_score(arrays["targets"], decided, average="macro", zero_division=0.0)
                assert scores["macro_f1"] == pytest.approx(macro, abs=1e-12)
                assert scores["per_class"]["n"] == [40, 17, 8, 3, 0]
            assert row["mean"]["balanced_accuracy"] == pytest.approx(
                np.mean([r["balanced_accuracy"] for r in row["runs"]])
            )

    def test_seeds_draw_their_own_folds_and_are_paired_by_row(self, done: tuple[Any, Path]) -> None:
        result, out = done
        by_seed = [load_file(next(out.glob(f"ce-*/seed-{s}/predictions.safetensors")))["fold"] for s in (0, 1)]
        assert (by_seed[0] != by_seed[1]).any()
        found: dict[str, list[float]] = {}
        for row in result.rows:
            for one in row["runs"]:
                arrays = load_file(out / one["folder"] / "predictions.safetensors")
                decided = arrays.get("adjusted_scores", arrays["scores"]).argmax(1)
                found.setdefault(row["method"], []).append(mean_recall(arrays["targets"], decided))
        for row in result.rows:
            if row["method"] != "ce":
                mean = np.mean(np.subtract(found[row["method"]], found["ce"]))
                assert row["difference"]["mean"] == pytest.approx(mean, abs=1e-12)
                assert row["difference"]["low"] <= mean <= row["difference"]["high"]

    def test_table_and_verdict_say_what_was_done(self, done: tuple[Any, Path]) -> None:
        result, _ = done
        shown = repr(result)
        assert "3-fold cross-validation: each of 68 examples is tested once" in shown
        assert "every seed draws its own folds" in shown
        assert "1 of 5 classes cannot be measured: c4" in shown
        assert result.verdict.endswith(".")
        assert result.summary["folds"] == 3
        assert result.summary["data"]["class_counts"] == list(COUNTS)
        assert result.summary["data"]["test_counts"] == [40, 17, 8, 3, 0]

    def test_a_post_hoc_method_reuses_the_training_of_ce_fold_by_fold(self, done: tuple[Any, Path]) -> None:
        _, out = done
        stages = [json.loads(p.read_text())["seconds"] for p in out.glob("logit-adjusted-posthoc-*/seed-0/run.json")]
        assert stages
        trained = {p.name for p in (out / "stages").iterdir()}
        assert len(trained) == 2 * 2 * 3  # ce and ldam, two seeds, three folds: nothing for the post-hoc method
        for seed in (0, 1):
            one, other = (
                load_file(next(out.glob(f"{m}-*/seed-{seed}/predictions.safetensors")))["scores"]
                for m in ("ce", "logit-adjusted-posthoc")
            )
            assert (one == other).all()

    def test_the_row_says_whose_training_it_shares(self, done: tuple[Any, Path]) -> None:
        rows = {row["method"]: row for row in done[0].rows}
        assert rows["ce"]["reuses"] is None
        assert rows["logit-adjusted-posthoc"]["reuses"].startswith("ce-")
        assert rows["logit-adjusted-posthoc"]["reuses"].endswith("/seed-0")

    def test_files_are_those_of_any_comparison(self, done: tuple[Any, Path]) -> None:
        _, out = done
        assert {"config.json", "comparison.json", "comparison.csv", "comparison.md"} <= {p.name for p in out.iterdir()}
        for folder in out.glob("*/seed-*"):
            names = {p.name for p in folder.iterdir()}
            assert {"config.json", "run.json", "predictions.safetensors", "fold-0", "fold-1", "fold-2"} <= names
            assert Run.load(folder).scores["accuracy"] >= 0
        assert not list(out.rglob("*.tmp"))

    def test_a_threshold_is_tuned_inside_each_training_part(self, tmp_path: Path) -> None:
        data = pool((40, 17, 8, 5))
        result = run(tmp_path, data, methods="ce,ce-threshold", val=0.25, seeds=1)
        assert result.ok
        assert {row["method"] for row in result.rows} == {"ce", "ce-threshold"}
        assert result.summary["data"]["facts"]["val"] == 0.25
        config = json.loads(next(tmp_path.glob("ce-threshold-*/seed-0/fold-0/config.json")).read_text())
        assert sum(config["data"]["class_counts"]) < 47 * 0.85
        with pytest.raises(ValueError, match="needs a validation part, got none"):
            run(tmp_path / "other", data, methods="ce-threshold")

    def test_weights_count_in_scores_and_differences(self, tmp_path: Path) -> None:
        copies = torch.randint(1, 4, (68,), generator=torch.Generator().manual_seed(0))
        result = run(tmp_path, pool((40, 17, 8, 3), sample_weight=copies.float()), seeds=1, metric="accuracy")
        found = {}
        for row in result.rows:
            arrays = load_file(tmp_path / row["runs"][0]["folder"] / "predictions.safetensors")
            assert (arrays["sample_weight"] == copies.numpy()).all()
            decided = arrays.get("adjusted_scores", arrays["scores"]).argmax(1)
            found[row["method"]] = accuracy_score(arrays["targets"].repeat(copies), decided.repeat(copies))
            assert row["mean"]["accuracy"] == pytest.approx(found[row["method"]], abs=1e-12)
        for row in result.rows:
            if row["method"] != "ce":
                assert row["difference"]["mean"] == pytest.approx(found[row["method"]] - found["ce"], abs=1e-12)
        targets = pool((40, 17, 8, 3)).targets
        assert result.summary["data"]["class_counts"] == torch.bincount(targets.repeat_interleave(copies)).tolist()


def mixed(rare: int = 3) -> Pool:
    """A table with a word that only some rows have, so that not every training part knows it."""
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("skops")
    from longtail.data.read.tables.table import Table

    generator = np.random.default_rng(0)
    y = np.repeat(np.arange(3), [30, 12, 6])
    words = generator.choice(["red", "green"], len(y)).astype(object)
    words[:1] = "ultraviolet"
    numbers = generator.normal(size=len(y)) + y
    numbers[-rare:] = np.nan
    frame = pandas.DataFrame({"number": numbers, "word": words})
    return Pool("mixed", Table(frame), torch.from_numpy(y), ("a", "b", "c"))


class TestTable:
    @pytest.mark.slow
    def test_every_fold_has_the_network_of_its_own_columns(self, tmp_path: Path) -> None:
        result = run(tmp_path, mixed(1), methods="ce,logit-adjusted-posthoc", model=None, seeds=1)
        assert result.ok
        sizes = []
        for fold in range(3):
            config = json.loads(next(tmp_path.glob(f"ce-*/seed-0/fold-{fold}/config.json")).read_text())
            arguments = config["recipe"]["model_args"]
            sizes.append((arguments["numeric"], arguments["categories"]))
        # the fold that tests the one ultraviolet row does not know the word; nor is a missing number known everywhere
        assert sorted(categories for _, categories in sizes) == [[3], [4], [4]]
        assert sorted(numeric for numeric, _ in sizes) == [1, 2, 2]
        assert len(next(iter(result.rows))["recall"]) == 3

    def test_quick_holds_scikit_learns_classifiers_too(self, tmp_path: Path) -> None:
        prepared = prepare(mixed(), folds=3, out=tmp_path / "out")
        assert {"logistic", "trees"} <= {m.key for m in prepared.methods}
        assert not {"logistic", "trees"} & {m.key for m in prepare(pool(), folds=3, out=tmp_path / "out").methods}


class TestAgain:
    def test_finished_runs_are_skipped(self, done: tuple[Any, Path]) -> None:
        first, out = done
        before, begun = stamps(out), []
        again = run(out, on_result=begun.append)
        assert begun == []
        assert stamps(out) == before
        assert again.summary == first.summary

    @pytest.mark.slow
    def test_a_run_that_stopped_between_folds_goes_on_there(self, tmp_path: Path, done: tuple[Any, Path]) -> None:
        run(tmp_path)
        gone = next(tmp_path.glob("ldam-*/seed-1"))
        (gone / "run.json").unlink()
        (gone / "fold-2" / "run.json").unlink()
        before = stamps(tmp_path)
        begun: list[TaskResult] = []
        run(tmp_path, on_result=begun.append)
        assert [(o.task.spec, o.task.seed) for o in begun] == [("ldam", 1)]
        assert {path: stamps(tmp_path)[path] for path in before} == before
        assert predictions(tmp_path) == predictions(done[1])

    def test_more_seeds_and_methods_extend(self, tmp_path: Path) -> None:
        run(tmp_path, methods="ldam", seeds=1)
        before = stamps(tmp_path)
        more = run(tmp_path, methods="focal", seeds=2)
        assert {path: stamps(tmp_path)[path] for path in before} == before
        assert {row["method"] for row in more.rows} == {"ce", "ldam", "focal"}
        assert all(len(row["runs"]) == 2 for row in more.rows)

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"folds": 4}, "data.facts.folds is 3 there, 4 was asked"),
            ({"epochs": 3}, "recipe.epochs is 2 there, 3 was asked"),
            ({"val": 0.2}, "data.facts.val is None there, 0.2 was asked"),
            ({"data": pool(seed=1)}, "data.hash is"),
        ],
    )
    def test_another_configuration_is_refused(self, done: tuple[Any, Path], change: dict[str, Any], told: str) -> None:
        before = stamps(done[1])
        with pytest.raises(ValueError, match=f"holds another comparison: {told}") as found:
            run(done[1], **change)
        assert "\n" not in str(found.value)
        assert stamps(done[1]) == before

    def test_a_run_folder_of_other_folds_is_refused(self, tmp_path: Path) -> None:
        recipe = Recipe(epochs=1, model="linear")
        train_folds("ce", Folds(pool(), 2), folder=tmp_path, recipe=recipe)
        with pytest.raises(ValueError, match=r"data\.facts\.folds is 2 there, 3 was asked"):
            train_folds("ce", Folds(pool(), 3), folder=tmp_path, recipe=recipe)

    def test_a_failing_method_leaves_the_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from longtail.catalogue.method import Method, one_stage
        from longtail.catalogue.references import cited
        from longtail.methods import registry as catalog

        def loss(counts: Any) -> Any:
            raise RuntimeError("out of order")

        monkeypatch.setitem(catalog.CATALOG, "broken", lambda: Method(one_stage(loss), cited("good1952rational")))
        result = run(methods="broken,ldam", seeds=1)
        assert result.summary["failed"] == [{"method": "broken", "seed": 0, "error": "RuntimeError: out of order"}]
        assert {row["method"] for row in result.rows} == {"ce", "ldam"}


class TestBefore:
    def test_the_estimate_counts_folds_and_writes_nothing(self, tmp_path: Path) -> None:
        options = {"methods": METHODS, "seeds": 2, "epochs": 2, "model": "linear", "folds": 3}
        found = estimate(prepare(pool(), out=tmp_path / "out", **options), jobs=1)  # type: ignore[arg-type]
        assert (found["runs"], found["finished"], found["trainings"], found["folds"]) == (6, 0, 12, 3)
        assert found["seconds"] > 0
        assert not (tmp_path / "out").exists()

    def test_the_estimate_knows_which_folds_are_done(self, tmp_path: Path) -> None:
        run(tmp_path, methods="ce", seeds=1)
        gone = next(tmp_path.glob("ce-*/seed-0"))
        (gone / "run.json").unlink()
        (gone / "fold-1" / "run.json").unlink()
        options: dict[str, Any] = {"methods": "ce", "epochs": 2, "model": "linear", "folds": 3, "seeds": 1}
        found = estimate(prepare(pool(), out=tmp_path, **options))
        assert (found["runs"], found["finished"], found["trainings"]) == (1, 0, 1)

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"folds": 1}, "folds must be an integer >= 2, got 1; 5 is usual"),
            ({"folds": 2.5}, "folds must be an integer >= 2, got 2.5"),
            ({"folds": 100}, "folds must be at most the 68 examples that can be tested, got 100"),
            ({"folds": 3, "ratio": 10.0}, "ratio cannot go with folds, got 10.0"),
            ({"folds": 3, "test": 0.5}, "test cannot go with folds, got 0.5"),
            ({"folds": 3, "data": "digits"}, "folds need data without a split of their own, got digits, which has one"),
            ({"folds": 3, "val": 1.5}, r"val \(--val\) must be in \(0, 1\), the share that is held out, got 1.5"),
        ],
    )
    def test_bad_folds_are_one_line_before_anything_is_written(
        self, tmp_path: Path, change: dict[str, Any], told: str
    ) -> None:
        with pytest.raises(ValueError, match=told) as found:
            run(tmp_path / "out", **change)
        assert "\n" not in str(found.value)
        assert not (tmp_path / "out").exists()

    def test_arrays_and_groups_are_folded_too(self, tmp_path: Path) -> None:
        data = pool((20, 12, 8))
        assert isinstance(data.rows, Examples)
        groups = np.arange(40) // 2
        prepared = prepare(data.rows.inputs, data.targets, group=groups, folds=2, out=tmp_path / "out")
        assert prepared.folds is not None
        partition = prepared.folds.partition(0)
        assert (partition[::2] == partition[1::2]).all()
        assert set(partition.tolist()) == {0, 1}

    def test_a_bad_number_is_refused_before_data_are_read(self) -> None:
        with pytest.raises(ValueError, match="folds must be an integer >= 2, got 1"):
            compare("nowhere.npz", folds=1)


def dies(before: Callable[[Path], bool]) -> Callable[[Path, bytes], None]:
    """A writer that is no more as soon as it would write such a file."""
    write = files.write_bytes

    def writing(path: Path, data: bytes) -> None:
        if before(path):
            raise KeyboardInterrupt
        write(path, data)

    return writing


@pytest.mark.parametrize(
    "name",
    [
        "fold-1/run.json",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("fold-1/predictions.safetensors", "seed-0/run.json")),
    ],
)
def test_wherever_it_is_stopped_the_same_call_ends_with_the_same_bytes(
    name: str, tmp_path: Path, done: tuple[Any, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "write_bytes", dies(lambda path: str(path).endswith(name)))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    monkeypatch.undo()
    run(tmp_path)
    assert predictions(tmp_path) == predictions(done[1])


@pytest.mark.slow
def test_killed_again_and_again_it_ends_with_the_same_bytes(tmp_path: Path, done: tuple[Any, Path]) -> None:
    out = tmp_path / "out"
    for _ in range(3):
        process = SERVER.Process(target=run, args=(out,))
        before, deadline = len(list(out.rglob("*"))), time.monotonic() + 120
        process.start()
        while len(list(out.rglob("*"))) < before + 4:  # in the middle of what it does next
            assert process.is_alive(), process.exitcode
            assert time.monotonic() < deadline
            time.sleep(0.002)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert not (out / "comparison.json").exists()
    last = SERVER.Process(target=run, args=(out,))
    last.start()
    last.join(120)
    assert last.exitcode == 0
    assert predictions(tmp_path / "out") == predictions(done[1])


@pytest.mark.slow
def test_side_by_side_gives_the_same_bytes_as_one_after_another(tmp_path: Path, done: tuple[Any, Path]) -> None:
    run(tmp_path, jobs=2)
    assert predictions(tmp_path) == predictions(done[1])
