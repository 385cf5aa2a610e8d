"""Permutation importance by class: scikit-learn's on the same permutations, recalls by hand, kept while runs are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.inspection import permutation_importance
from sklearn.metrics import balanced_accuracy_score

import longtail as lt
from longtail.comparison import importance
from longtail.comparison.decided import DecidedBy
from longtail.comparison.evidence.measure import measure_of
from longtail.comparison.question import Question
from longtail.posthoc import Decision
from longtail.runs import permuted
from longtail.runs.predictor import Predictor
from longtail.runs.scored import ScoredRows, ScoredRun

pytest.importorskip("skops.io")
pd = pytest.importorskip("pandas")

CLASSES = ("ok", "odd", "bad")
ONE_SPLIT = "trees(learning_rate=1,max_iter=1,max_leaf_nodes=2)"
OPTIONS: dict[str, Any] = {"label": "label", "seeds": 1, "epochs": 1, "jobs": 1}


def table() -> Any:
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=(2, 240))
    kind = draw.choice(["x", "y", "z"], 240)
    label = np.digitize(a + (kind == "z") + 0.5 * draw.normal(size=240), [0.7, 1.6])
    a[draw.random(240) < 0.1] = np.nan
    return pd.DataFrame({"a": a, "b": b, "kind": kind, "label": np.array(CLASSES)[label]})


@pytest.fixture(scope="module", autouse=True)
def few_repeats() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importance, "REPEATS", 2)
        yield


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("compared")
    return lt.compare(
        table(), methods=["logistic", ONE_SPLIT], out=out, importance=True, baseline="logistic", **OPTIONS
    )


def entry(result: Any, method: str) -> dict[str, Any]:
    (row,) = [row for row in result.rows if row["method"].startswith(method)]
    found: dict[str, Any] = row["importance"]
    return found


def by_column(found: dict[str, Any]) -> dict[str, Any]:
    return {one["column"]: one for one in found["columns"]}


def rows_tested(run: Path) -> tuple[Any, Any, Any]:
    """The rows that tested a run, as they were read, their labels, and their fold."""
    arrays = lt.Run.load(run).predictions()
    rows = table().iloc[arrays["index"].numpy()].reset_index(drop=True)
    return rows.drop(columns="label"), rows["label"].to_numpy(), arrays.get("fold")


def recall(truth: Any, said: Any, name: str) -> float:
    hits = [s == name for t, s in zip(truth, said, strict=True) if t == name]
    return float(sum(hits) / len(hits))


def test_the_metric_agrees_with_scikit_learn_and_recalls_with_loops(
    compared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = next(compared.out.glob("logistic*/seed-0"))
    rows, truth, _ = rows_tested(run)
    model = Predictor.load(run)

    class Wrapped:
        _estimator_type, classes_ = "classifier", np.array(sorted(CLASSES))

        def fit(self, x: Any, y: Any) -> None: ...

        def predict(self, x: Any) -> Any:
            return np.array(model.predict(x))

    def score(wrapped: Any, x: Any, y: Any) -> float:
        return float(balanced_accuracy_score(y, wrapped.predict(x)))

    theirs = permutation_importance(Wrapped(), rows, truth, scoring=score, n_repeats=importance.REPEATS, random_state=0)
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max + 1)

    def shuffles() -> Iterator[Any]:  # as scikit-learn makes them, each on top of the last
        while True:
            draw, shuffled, donors = np.random.RandomState(seed), np.arange(len(rows)), np.arange(len(rows))
            for _ in range(importance.REPEATS):
                draw.shuffle(shuffled)
                donors = donors[shuffled]
                yield donors.copy()

    source = shuffles()
    monkeypatch.setattr(permuted, "drawn_donors", lambda *_: next(source))
    monkeypatch.setattr(importance, "_known", lambda plan: {})
    again = lt.compare(
        table(), methods=["logistic", ONE_SPLIT], out=compared.out, importance=True, baseline="logistic", **OPTIONS
    )
    found = by_column(entry(again, "logistic"))
    by_hand, base = shuffles(), np.array(model.predict(rows))
    for d, column in enumerate(rows.columns):
        assert found[column]["metric"] == pytest.approx(theirs.importances_mean[d], abs=1e-12)
        falls: dict[str, list[float]] = {name: [] for name in CLASSES}
        per_row = np.zeros(len(rows))
        for _ in range(importance.REPEATS):
            moved = rows.copy()
            moved[column] = rows[column].to_numpy()[next(by_hand)]
            said = model.predict(moved)
            per_row += (base == truth).astype(float) - (np.array(said) == truth)
            for name in CLASSES:
                falls[name].append(recall(truth, base, name) - recall(truth, said, name))
        for j, name in enumerate(model.classes):
            assert found[column]["recall"][j] == pytest.approx(np.mean(falls[name]), abs=1e-12)
            mine = per_row[truth == name] / importance.REPEATS
            n, mean = len(mine), float(mine.mean())
            spread = (1 + n**-2) * n / (n - 1) * sum((v - mean) ** 2 for v in mine) / n**2 + (mean / n) ** 2
            assert found[column]["recall_se"][j] == pytest.approx(math.sqrt(spread), abs=1e-12)


def test_a_column_that_a_model_ignores_has_exactly_0(compared: Any) -> None:
    found = by_column(entry(compared, "trees"))
    ignored = found["b"]
    assert [ignored["metric"], ignored["metric_se"], *ignored["recall"], *ignored["recall_se"]] == [0.0] * 8
    assert found["a"]["metric"] > 2 * found["a"]["metric_se"] > 0


def test_the_most_important_column_is_first_and_all_are_there(compared: Any) -> None:
    found = entry(compared, "logistic")
    falls = [one["metric"] for one in found["columns"]]
    assert falls == sorted(falls, reverse=True)
    assert {one["column"] for one in found["columns"]} == {"a", "b", "kind"}
    assert found["columns"][0]["column"] == "a"
    assert found["rows"] == 60


def test_it_is_kept_with_the_runs_and_measured_again_for_another_question(
    compared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("measured again")

    call: dict[str, Any] = {"methods": ["logistic", ONE_SPLIT], "out": compared.out, "baseline": "logistic", **OPTIONS}
    first = lt.compare(table(), importance=True, **call)
    monkeypatch.setattr(importance, "_measured", never)
    kept = lt.compare(table(), **call)
    assert entry(kept, "logistic") == entry(first, "logistic")
    other = lt.compare(table(), metric="macro_f1", **call)
    assert not any("importance" in row for row in other.rows)
    with pytest.raises(AssertionError, match="measured again"):
        lt.compare(table(), metric="macro_f1", importance=True, **call)


def test_of_folds_each_model_is_measured_on_its_own_rows(tmp_path: Path) -> None:
    result = lt.compare(
        table(), methods=["logistic"], folds=2, out=tmp_path, importance=True, baseline="logistic", **OPTIONS
    )
    run = next(tmp_path.glob("logistic*/seed-0"))
    rows, truth, fold = rows_tested(run)
    assert fold is not None
    assert len(rows) == 240
    draw = np.random.default_rng([0, *b"kind"])
    said = np.empty((importance.REPEATS, 240), dtype=object)
    base = np.empty(240, dtype=object)
    for r in range(importance.REPEATS):
        for j in range(2):
            here = np.flatnonzero(fold.numpy() == j)
            model, own = Predictor.load(run / f"fold-{j}"), rows.iloc[here]
            base[here] = model.predict(own)
            said[r, here] = model.predict(own.assign(kind=own["kind"].to_numpy()[draw.permutation(len(here))]))
    found = by_column(entry(result, "logistic"))["kind"]
    for j, name in enumerate(result.summary["data"]["classes"]):
        falls = [recall(truth, base, name) - recall(truth, one, name) for one in said]
        assert found["recall"][j] == pytest.approx(np.mean(falls), abs=1e-12)


def test_rows_of_weight_2_are_moved_from_twice_as_often() -> None:
    draw, weight = np.random.default_rng(0), np.array([1.0, 2.0, 0.0, 1.0])
    donors = np.concatenate([permuted.drawn_donors(weight, 4, draw) for _ in range(2000)])
    np.testing.assert_allclose(np.bincount(donors, minlength=4) / 8000, weight / 4, atol=0.02)
    assert sorted(permuted.drawn_donors(None, 9, draw)) == list(range(9))


def test_other_data_are_refused_before_any_training(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"importance \(--importance\) is of the columns of a table"):
        lt.compare("digits", methods="ce", out=tmp_path / "out", importance=True)
    assert not (tmp_path / "out").exists()


def test_changed_rows_are_decided_by_the_rule_that_was_chosen_on_the_unchanged_ones() -> None:
    draw = np.random.default_rng(0)
    targets = (np.arange(60) % 6 == 0).astype(np.int64)
    own, moved = (np.log(np.column_stack([1 - p, p])) for p in draw.uniform(0.05, 0.5, (2, 60)))
    fold, index = np.arange(60) // 30, np.arange(60)

    def scored(logs: Any) -> ScoredRun:
        rows = ScoredRows(logs, logs.argmax(1), targets, None, index, fold)
        return ScoredRun(Path("run"), rows, None, ("no", "yes"), np.array([50.0, 10.0]), np.array([5 / 6, 1 / 6]))

    rule = DecidedBy(("no", "yes"), None, "recall>=0.9", 1)
    asked = Question(measure_of("balanced_accuracy", 2), 1, "yes", decided=rule)
    run, changed = scored(own), scored(moved)
    found = asked.asked_of(run, changed).test
    for j in range(2):
        here = fold == j
        chosen = Decision(("no", "yes"), objective="recall>=0.9", positive=1).fit(own[~here], targets[~here])
        np.testing.assert_array_equal(found.decided[here], chosen(moved[here]).argmax(1))
    np.testing.assert_array_equal(found.log_probs, moved)
    assert (found.decided != asked.asked_of(changed).test.decided).any()  # a rule chosen on the changed rows is another
    np.testing.assert_array_equal(asked.asked_of(run, run).test.decided, asked.asked_of(run).test.decided)
