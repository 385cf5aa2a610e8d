"""A comparison by any metric: what it says of every row, who leads, and what is asked of the same folder again."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as scikit

from longtail.comparison import compare, prepare
from longtail.comparison.decided import DecidedBy
from longtail.comparison.tune.tune import tune
from longtail.comparison.tuned_rows import tune_every_method
from longtail.facts.digits import alike
from longtail.posthoc import Decision
from longtail.runs.scored import scored

COST = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [10.0, 10.0, 0.0]])
Done = tuple[Any, Path]


def arrays(counts: tuple[int, ...] = (120, 50, 20), seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(counts)), counts)
    return generator.normal(size=(len(y), 3)) + y[:, None], y


X, Y = arrays()


def run(out: Path, **changes: Any) -> Any:
    options = {"epochs": 2, "jobs": 1, "model": "linear", "methods": "ce,logit-adjusted", "seeds": 2, "val": 0.3}
    return compare(X, Y, out=out, **{**options, **changes})


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    out = tmp_path_factory.mktemp("any") / "out"
    return run(out), out


@pytest.fixture(scope="module")
def folds(tmp_path_factory: pytest.TempPathFactory) -> Done:
    out = tmp_path_factory.mktemp("folds") / "out"
    return run(out, folds=3, val=None, seeds=1, objective="macro_f1", metric="macro_f1"), out


def runs_of(row: dict[str, Any], out: Path) -> list[Any]:
    return [scored(out / one["folder"]) for one in row["runs"]]


def unchanged(out: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in out.glob("*/seed-*/run.json")}


class TestMetrics:
    def test_of_every_row_they_are_scikit_learns_on_the_files(self, done: Done) -> None:
        result, out = done
        for row in result.rows:
            found = row["metrics"]
            each: dict[str, list[float]] = {}
            for one in runs_of(row, out):
                y, p, d = one.test.targets, np.exp(one.test.log_probs), one.test.decided
                hot = np.eye(3)[y]
                recall = scikit.recall_score(y, d, average=None, zero_division=0)
                values = {
                    "accuracy": scikit.accuracy_score(y, d),
                    "balanced_accuracy": scikit.balanced_accuracy_score(y, d),
                    "macro_f1": scikit.f1_score(y, d, average="macro"),
                    "weighted_f1": scikit.f1_score(y, d, average="weighted"),
                    "precision": scikit.precision_score(y, d, average="macro", zero_division=0),
                    "g_mean": recall.prod() ** (1 / 3),
                    "worst_class": recall.min(),
                    "mcc": scikit.matthews_corrcoef(y, d),
                    "average_precision": scikit.average_precision_score(hot, p, average="macro"),
                    "roc_auc": scikit.roc_auc_score(y, p, multi_class="ovr", average="macro"),
                    "log_loss": scikit.log_loss(y, p),
                    "brier": ((p - hot) ** 2).sum(1).mean(),
                    "positive_average_precision": scikit.average_precision_score(y == 2, p[:, 2]),
                    "positive_roc_auc": scikit.roc_auc_score(y == 2, p[:, 2]),
                    "positive_recall": recall[2],
                    "positive_f1": scikit.f1_score(y == 2, d == 2),
                }
                for name, value in values.items():
                    each.setdefault(name, []).append(value)
            for name, known in each.items():
                assert found[name]["mean"] == pytest.approx(np.mean(known), abs=1e-9), name
                assert found[name]["std"] == pytest.approx(np.std(known, ddof=1), abs=1e-9), name
                assert found[name]["low"] <= found[name]["mean"] <= found[name]["high"], name
            assert {"ece", "classwise_ece", "positive_precision"} <= set(found)
            assert "cost" not in found  # nobody said what mistakes cost

    def test_what_the_table_always_had_is_the_same_number(self, done: Done) -> None:
        for row in done[0].rows:
            for name in ("accuracy", "balanced_accuracy", "macro_f1", "g_mean", "worst_class"):
                assert row["metrics"][name]["mean"] == pytest.approx(row["mean"][name], abs=1e-12)

    def test_every_class_has_its_areas_with_their_ends(self, done: Done) -> None:
        result, out = done
        for row in result.rows:
            runs, classes = runs_of(row, out), row["per_class"]
            for j in range(3):
                known = [scikit.average_precision_score(o.test.targets == j, o.test.log_probs[:, j]) for o in runs]
                assert classes["average_precision"][j] == pytest.approx(np.mean(known))
            for name in ("average_precision", "roc_auc", "precision", "f1"):
                ends = zip(classes[f"{name}_low"], classes[name], classes[f"{name}_high"], strict=True)
                assert all(low <= value <= high for low, value, high in ends if value is not None)

    def test_the_files_have_them(self, done: Done) -> None:
        result, out = done
        lines = list(csv.DictReader((out / "comparison.csv").read_text().splitlines()))
        for line, row in zip(lines, result.rows, strict=True):
            assert float(line["log_loss"]) == row["metrics"]["log_loss"]["mean"]
            assert float(line["mcc_std"]) == row["metrics"]["mcc"]["std"]
        assert json.loads((out / "comparison.json").read_text())["question"]["label"] == "balanced accuracy"


class TestDirection:
    def test_lower_is_better_of_a_log_loss(self, done: Done, tmp_path: Path) -> None:
        _, out = done
        before = unchanged(out)
        result = run(out, metric="log_loss")
        assert unchanged(out) == before  # the same folder was asked again, nothing was trained
        means = [row["metrics"]["log_loss"]["mean"] for row in result.rows]
        assert means == sorted(means)
        best = result.rows[0]
        other = next(row for row in result.rows if row["difference"] is not None)
        reference = next(row for row in result.rows if row["difference"] is None)
        difference = other["metrics"]["log_loss"]["mean"] - reference["metrics"]["log_loss"]["mean"]
        assert other["difference"]["mean"] == pytest.approx(difference)
        shown = result.to_markdown()
        assert "| log loss |" in shown
        statistics = best["metrics"]["log_loss"]
        assert " ± ".join(alike([statistics["mean"], statistics["std"]])) in shown
        assert "Log loss: lower is better" in shown
        assert "of probabilities under the training prior" in shown
        assert " log loss (simultaneous 95 % interval" in result.verdict
        assert "points" not in result.verdict

    def test_one_class_is_the_rarest_unless_it_is_named(self, done: Done) -> None:
        _, out = done
        rarest = run(out, metric="positive_recall")
        assert rarest.summary["question"]["positive"] == "2"
        assert "The class that is meant: '2', the rarest in training" in rarest.to_markdown()
        named = run(out, metric="positive_recall", positive="1")
        assert "The class that is meant: '1'." in named.to_markdown()
        assert named.rows[0]["metrics"]["positive_recall"]["mean"] == pytest.approx(named.rows[0]["recall"][1])
        assert "recall of '1'" in named.verdict

    def test_the_demanded_points_of_a_curve(self, done: Done) -> None:
        result = run(done[1], metric="precision@recall=0.5")
        for row in result.rows:
            known = []
            for one in runs_of(row, done[1]):
                curve = scikit.precision_recall_curve(one.test.targets == 2, np.exp(one.test.log_probs[:, 2]))
                known.append(curve[0][curve[1] >= 0.5].max())
            assert row["metrics"]["precision@recall=0.5"]["mean"] == pytest.approx(np.mean(known))


class TestOneRule:
    def test_costs_decide_in_every_row_and_are_what_is_counted(self, done: Done) -> None:
        _, out = done
        before = unchanged(out)
        result = run(out, metric="cost", cost="missed=10,false=1")
        assert unchanged(out) == before
        for row in result.rows:
            known, recall = [], []
            for one in runs_of(row, out):
                decided = (np.exp(one.test.log_probs) @ COST).argmin(1)
                known.append(COST[one.test.targets, decided].mean())
                recall.append((decided == 2)[one.test.targets == 2].mean())
            assert row["metrics"]["cost"]["mean"] == pytest.approx(np.mean(known))
            assert row["recall"][2] == pytest.approx(np.mean(recall))
            assert row["metrics"]["accuracy"]["mean"] == pytest.approx(row["mean"]["accuracy"])
        assert "The class that is meant: '2', the rarest" in result.to_markdown()  # that is missed
        assert "Decided for: least expected cost; by this rule in every row" in result.to_markdown()
        assert run(out).rows == done[0].rows  # and asked as at first, it answers as at first

    def test_rows_that_decide_by_costs_themselves_keep_their_rule(self, tmp_path: Path) -> None:
        """A chosen threshold is tuned for the cost that is asked for, and judged; the others decide by Bayes' rule."""
        asked = {"metric": "cost", "cost": "missed=4,false=1", "positive": "1"}
        result = run(tmp_path, methods="ce,ce-threshold,threshold-moving(cost='missed=3')", seeds=1, **asked)
        tuned = "ce-threshold(cost='missed=4,false=1', objective='cost', positive='1')"
        cost = np.array([[0.0, 1, 1], [4, 0, 4], [1, 1, 0]])
        by_spec = {row["method"]: row for row in result.rows}
        assert set(by_spec) == {"ce", tuned, "threshold-moving(cost='missed=3')"}
        for spec, row in by_spec.items():
            known = []
            for one in runs_of(row, tmp_path):
                decided = (np.exp(one.test.log_probs) @ cost).argmin(1) if spec == "ce" else one.test.decided
                known.append(cost[one.test.targets, decided].mean())
            assert row["metrics"]["cost"]["mean"] == pytest.approx(np.mean(known))
        said = f"but for those that decide by costs themselves: {tuned}, threshold-moving(cost='missed=3')."
        assert said in repr(result)

    def test_the_class_that_is_named_is_that_of_chosen_thresholds(self) -> None:
        asked = {"methods": "ce,ce-threshold", "metric": "positive_f1", "positive": "1", "val": 0.3}
        made = prepare(X, Y, **asked, baseline="ce-threshold", epochs=2, model="linear")
        spec = "ce-threshold(objective='f1', positive='1')"
        assert made.baseline is not None
        assert made.baseline.spec == spec
        assert spec in [one.spec for one in made.methods]

    def test_an_objective_is_fitted_on_the_validation_rows_of_each_run(self, done: Done) -> None:
        _, out = done
        result = run(out, metric="macro_f1", objective="macro_f1")
        for row in result.rows:
            known = []
            for one in runs_of(row, out):
                rule = Decision(one.classes, objective="macro_f1").fit(one.val.log_probs, one.val.targets)
                decided = rule(one.test.log_probs).argmax(1)
                known.append(scikit.f1_score(one.test.targets, decided, average="macro"))
            assert row["mean"]["macro_f1"] == pytest.approx(np.mean(known))
        assert "Decided for: macro_f1, chosen for each run on its validation rows" in result.to_markdown()

    def test_folds_decide_by_the_rows_of_other_folds(self, folds: Done) -> None:
        result, out = folds
        for row in result.rows:
            (one,) = runs_of(row, out)
            test, decided = one.test, np.empty(len(one.test.targets), dtype=int)
            for j in range(3):
                other = test.fold != j
                rule = Decision(one.classes, objective="macro_f1").fit(test.log_probs[other], test.targets[other])
                decided[~other] = rule(test.log_probs[~other]).argmax(1)
            assert row["mean"]["macro_f1"] == pytest.approx(scikit.f1_score(test.targets, decided, average="macro"))
        assert "chosen for each run on the rows of the other folds" in result.to_markdown()

    def test_no_row_decides_on_itself(self, folds: Done) -> None:
        """Labels of a fold that are exchanged change no decision in it."""
        from dataclasses import replace

        (one,) = runs_of(folds[0].rows[0], folds[1])
        rule = DecidedBy(one.classes, objective="macro_f1")
        targets = np.where(one.test.fold == 0, (one.test.targets + 1) % 3, one.test.targets)
        changed = replace(one, test=replace(one.test, targets=targets))
        before, after = (rule.decide(r, r.test.log_probs) for r in (one, changed))
        assert (before[one.test.fold == 0] == after[one.test.fold == 0]).all()
        assert (before != after).any()

    def test_a_target_prior_moves_probabilities_and_decisions_as_predict_does(self, done: Done) -> None:
        result = run(done[1], metric="log_loss", target_prior="uniform")
        for row in result.rows:
            known, right = [], []
            for one in runs_of(row, done[1]):
                moved = np.exp(one.test.log_probs) / one.training_prior
                moved /= moved.sum(1, keepdims=True)
                known.append(scikit.log_loss(one.test.targets, moved))
                right.append((moved.argmax(1) == one.test.targets).mean())
            assert row["metrics"]["log_loss"]["mean"] == pytest.approx(np.mean(known))
            assert row["mean"]["accuracy"] == pytest.approx(np.mean(right))
        assert "under the prior uniform, and the most probable class is decided for" in result.to_markdown()


class TestChoices:
    def test_a_search_chooses_the_lowest_log_loss(self, tmp_path: Path) -> None:
        found = tune(
            X, Y, method="ce", vary="lr=[1e-6, 0.3]", metric="log_loss", val=0.3, epochs=2, model="linear",
            out=tmp_path, run={"jobs": 1},
        )  # fmt: skip
        values = [row["metric"] for row in found.summary["rows"]]
        assert values == sorted(values)
        assert found.recipe == {"lr": 0.3}
        chosen, other = found.summary["rows"]
        assert chosen["interval"]["low"] <= chosen["metric"] <= chosen["interval"]["high"]
        assert other["difference"]["mean"] == pytest.approx(other["metric"] - chosen["metric"])
        assert f"log_loss {chosen['metric']:.4g} [" in repr(found)
        assert "chosen for being the lowest" in repr(found)

    def test_tuned_rows_choose_by_the_metric_of_the_table(self) -> None:
        def specs(**asked: Any) -> list[str]:
            prepared = prepare(X, Y, methods="ce", val=0.3, epochs=2, model="linear", **asked)
            return [one.spec for one in tune_every_method(prepared, 2).methods]

        assert specs() == specs(metric="accuracy") == specs(metric="cost", cost="missed=2") == ["tuned(trials=2)"]
        assert specs(metric="log_loss") == ["tuned(metric='log_loss', trials=2)"]
        assert specs(metric="positive_f1", positive="0") == ["tuned(trials=2)"]  # a search means the rarest class

    def test_a_tuned_run_takes_the_candidate_with_the_lowest_loss(self, tmp_path: Path) -> None:
        result = run(tmp_path, methods="ce,tuned(trials=3, metric='log_loss')", seeds=1)
        row = next(row for row in result.rows if row["key"] == "tuned")
        stored = json.loads((tmp_path / row["runs"][0]["folder"] / "run.json").read_text())["search"]
        assert stored["metric"] == "log_loss"
        lowest = min(stored["rows"], key=lambda one: one["log_loss"])
        assert stored["chosen"] == [lowest["candidate"]]
        assert "by log loss on validation rows" in result.to_markdown()


REFUSED = {
    "metric": ({"metric": "log_los"}, "metric must be .*got 'log_los'.*did you mean log_loss"),
    "level": ({"metric": "precision@recall=2"}, r"precision@recall must have a level in \(0, 1\]"),
    "positive": ({"positive": "3"}, "positive must be a class, got '3'"),
    "no cost": ({"metric": "cost"}, r"metric cost needs what mistakes cost, got nothing; add --cost"),
    "no use": (
        {"cost": "missed=2", "objective": "macro_f1"},
        "cost has no use with objective macro_f1 and metric balanced_accuracy",
    ),
    "size": ({"cost": np.ones((2, 2)) - np.eye(2)}, r"cost must have one row .* for each of the 3 classes, got shape"),
    "objective": ({"objective": "macro_f"}, "unknown objective 'macro_f'; did you mean 'macro_f1'"),
    "nowhere": (
        {"objective": "macro_f1", "val": None},
        "objective macro_f1 is chosen on validation rows, got none;",
    ),
    "both": (
        {"objective": "macro_f1", "target_prior": "uniform"},
        "macro_f1 is chosen on validation rows, which have the tr",
    ),
    "estimate": ({"target_prior": "estimate"}, "of a comparison must be class shares, got 'estimate'; give"),
    "prior": ({"target_prior": "flat"}, r"target_prior \(--target-prior\) must be training, uniform"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_judged_is_refused_before_anything_is_trained(name: str, tmp_path: Path) -> None:
    changes, line = REFUSED[name]
    with pytest.raises(ValueError, match=line) as error:
        run(tmp_path / "out", **changes)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_class_without_test_rows_cannot_be_the_one_that_is_meant(tmp_path: Path) -> None:
    x, y = arrays((60, 24, 1))
    with pytest.raises(ValueError, match="metric positive_recall is of class '2', which has no row to judge by; name"):
        compare(x, y, metric="positive_recall", out=tmp_path / "out", epochs=1, model="linear", methods="ce")
