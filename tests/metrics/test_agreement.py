"""Where scikit-learn, imbalanced-learn or scipy define the same number, ours is theirs, with weights too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.metrics import geometric_mean_score
from scipy.stats import binomtest
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve
from tests.cases import cases

from longtail.metrics import Tally, classwise_ece, ece, evaluate, wilson

COUNTS = [500, 200, 80, 40, 25, 10, 5]


def case(seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, labels of every class, and weights of which some are 0."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(7), np.arange(7), rng.choice(7, n - 14, p=np.array(COUNTS) / sum(COUNTS))])
    scores = rng.normal(size=(n, 7)) + 1.5 * np.eye(7)[y]
    weight = rng.exponential(size=n) * (rng.random(n) < 0.8)
    weight[:7] = 1.0
    return scores, y, weight


@cases("weighted", [False, True])
@cases("seed", range(6))
def test_scikit_learn_and_imbalanced_learn_agree(seed: int, weighted: bool) -> None:
    scores, y, weight = case(seed)
    sample_weight = weight if weighted else None
    predicted = scores.argmax(1)
    ours = evaluate(scores, y, class_counts=COUNTS, sample_weight=sample_weight)

    def theirs(score, **options):  # type: ignore[no-untyped-def]
        return score(y, predicted, sample_weight=sample_weight, **options)

    assert ours["accuracy"] == pytest.approx(theirs(reference.accuracy_score), abs=1e-14)
    assert ours["balanced_accuracy"] == pytest.approx(theirs(reference.balanced_accuracy_score), abs=1e-14)
    assert ours["macro_f1"] == pytest.approx(theirs(reference.f1_score, average="macro"), abs=1e-14)
    assert ours["g_mean"] == pytest.approx(theirs(geometric_mean_score), abs=1e-14)
    assert ours["g_mean"] == pytest.approx(theirs(geometric_mean_score, average="multiclass"), abs=1e-14)
    per_class = {"recall": reference.recall_score, "f1": reference.f1_score, "precision": reference.precision_score}
    for name, score in per_class.items():
        expected = theirs(score, average=None, zero_division=np.nan)
        assert np.array(ours["per_class"][name], float) == pytest.approx(expected, abs=1e-14, nan_ok=True)
    confusion = theirs(reference.confusion_matrix)
    assert ours["per_class"]["n"] == pytest.approx(list(confusion.sum(1)))


@pytest.mark.parametrize("seed", range(4))
def test_the_bins_of_the_calibration_error_are_scikit_learns(seed: int) -> None:
    scores, y, _ = case(seed)
    probs = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)

    def error(hit: np.ndarray, p: np.ndarray) -> float:
        frequency, mean = calibration_curve(hit, p, n_bins=15, strategy="uniform")
        sizes = np.bincount(np.searchsorted(np.linspace(0, 1, 16)[1:-1], p), minlength=15)
        return float((sizes[sizes > 0] / len(p) * np.abs(frequency - mean)).sum())

    assert ece(probs, y) == pytest.approx(error(probs.argmax(1) == y, probs.max(1)), abs=1e-12)
    by_class = np.mean([error(y == j, probs[:, j]) for j in range(7)])
    assert classwise_ece(probs, y) == pytest.approx(by_class, abs=1e-12)


@cases("n", [1, 2, 7, 50, 1000])
@cases("level", [0.8, 0.95, 0.99])
def test_scipys_wilson_interval_is_ours(n: int, level: float) -> None:
    for k in {0, 1, n // 2, n - 1, n}:
        theirs = binomtest(k, n).proportion_ci(level, method="wilson")
        assert [float(end) for end in wilson(k, n, level)] == pytest.approx([theirs.low, theirs.high], abs=1e-12)


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_any_batching_of_scores_full_of_ties_gives_the_same_evaluation(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 40))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    levels = data.draw(st.integers(1, 3))  # 1: every score of every row is the same
    scores = rng.integers(0, levels, (n, 4)).astype(data.draw(st.sampled_from([np.float16, np.float32, np.int64])))
    y = rng.integers(0, 4, n)
    weight = rng.integers(0, 3, n) if data.draw(st.booleans()) else None
    if weight is not None:
        weight[0] = 1
    cuts = sorted(data.draw(st.sets(st.integers(1, n - 1), max_size=8))) if n > 1 else []
    tally = Tally([50, 40, 5, 5])
    for rows in np.split(np.arange(n), cuts):
        tally.update(scores[rows], y[rows], sample_weight=None if weight is None else weight[rows])
    streamed, whole = tally.result(), evaluate(scores, y, class_counts=[50, 40, 5, 5], sample_weight=weight)
    for key, value in whole.items():
        if key in ("intervals", "per_class"):
            for name, part in value.items():
                if streamed[key][name] not in (None, [None] * 4):  # rankings and their like need all rows
                    assert streamed[key][name] == (pytest.approx(part, abs=1e-9) if key == "intervals" else part), name
        elif key in ("average_precision", "roc_auc"):
            assert streamed[key] is None
        elif key in ("ece", "classwise_ece", "log_loss", "brier"):  # sums of floats, in another order
            assert streamed[key] == pytest.approx(value, abs=1e-12)
        else:
            assert streamed[key] == value, key
    # ties go to the lowest index, whatever the batch
    predicted = [row.index(max(row)) for row in scores.tolist()]
    ones = np.ones(n) if weight is None else weight
    hits = sum(w for p, t, w in zip(predicted, y, ones, strict=True) if p == t)
    assert whole["accuracy"] == pytest.approx(hits / ones.sum())
