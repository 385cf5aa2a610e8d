"""scikit-learn and imbalanced-learn agree, over random data full of ties, with weights, rules and absent classes."""

from __future__ import annotations

import numpy as np
import pytest
from imblearn.metrics import geometric_mean_score
from sklearn import metrics as theirs
from tests.cases import cases

from longtail.metrics import METRICS, Rows, evaluate, metric, precision_recall_curve
from longtail.metrics.operating_points import curve

pytestmark = pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true", "ignore:.*ill-defined")


def rows(seed: int, classes: int, weighted: bool, absent: bool = False) -> Rows:
    rng = np.random.default_rng(seed)
    n = 150
    present = classes - absent
    y = np.concatenate(
        [
            np.arange(present),
            rng.choice(present, n - present, p=0.6 ** np.arange(present) / sum(0.6 ** np.arange(present))),
        ]
    )
    z = rng.normal(size=(n, classes)) + 1.5 * np.eye(classes)[y]
    p = np.round(np.exp(z) / np.exp(z).sum(1, keepdims=True), 1 + seed % 2) + 0.01
    p /= p.sum(1, keepdims=True)
    decided = rng.choice(classes, n) if seed % 3 == 0 else p.argmax(1)
    weight = rng.exponential(size=n) * (rng.random(n) < 0.8) if weighted else None
    if weight is not None:
        weight[:present] = 1.0
    return Rows(p, decided, y, weight, positive=0)  # fmt: skip


@cases("classes", [2, 3, 6])
@cases("weighted", [False, True])
@cases("seed", range(6))
def test_every_metric_that_they_define(seed: int, weighted: bool, classes: int) -> None:
    r = rows(seed, classes, weighted)
    y, d, p, w, names = r.targets, r.decided, r.probs, r.weight, np.arange(classes)
    truth = np.eye(classes)[y]
    expected = {
        "accuracy": theirs.accuracy_score(y, d, sample_weight=w),
        "balanced_accuracy": theirs.balanced_accuracy_score(y, d, sample_weight=w),
        "macro_f1": theirs.f1_score(y, d, average="macro", sample_weight=w),
        "weighted_f1": theirs.f1_score(y, d, average="weighted", sample_weight=w),
        "precision": theirs.precision_score(y, d, average="macro", sample_weight=w, zero_division=0),
        "g_mean": geometric_mean_score(y, d, sample_weight=w),
        "mcc": theirs.matthews_corrcoef(y, d, sample_weight=w),
        "average_precision": theirs.average_precision_score(
            truth if classes > 2 else np.stack([1 - y, y], 1), p, average="macro", sample_weight=w
        ),
        "log_loss": theirs.log_loss(y, p, sample_weight=w, labels=names),
        "brier": theirs.brier_score_loss(y, p, sample_weight=w, labels=names),
        "positive_average_precision": theirs.average_precision_score(truth[:, 0], p[:, 0], sample_weight=w),
        "positive_roc_auc": theirs.roc_auc_score(truth[:, 0], p[:, 0], sample_weight=w),
        "positive_f1": theirs.f1_score(truth[:, 0], d == 0, sample_weight=w),
        "positive_recall": theirs.recall_score(truth[:, 0], d == 0, sample_weight=w),
        "positive_precision": theirs.precision_score(truth[:, 0], d == 0, sample_weight=w),
    }
    if classes > 2:
        expected["roc_auc"] = theirs.roc_auc_score(y, p, multi_class="ovr", average="macro", sample_weight=w)
    else:  # either class against the other is the same
        expected["roc_auc"] = theirs.roc_auc_score(y, p[:, 1], sample_weight=w)
    precision, recall, _ = theirs.precision_recall_curve(truth[:, 0], p[:, 0], sample_weight=w)
    for level in (0.3, 0.7, 1.0):
        expected[f"precision@recall={level:g}"] = precision[recall >= level - 1e-12].max()
        expected[f"recall@precision={level:g}"] = recall[precision >= level - 1e-12].max()
    for name, value in expected.items():
        assert metric(name).value(r) == pytest.approx(value, abs=1e-12), name
    told = evaluate(
        p, y, class_counts=np.full(classes, 50), probabilities=True, sample_weight=w, decided=d, positive=0
    )  # fmt: skip
    for name in expected.keys() & METRICS.keys():
        assert told[name] == pytest.approx(expected[name], abs=1e-12), name


@cases("seed", range(4))
def test_a_class_without_rows_is_in_no_mean_that_they_take(seed: int) -> None:
    r = rows(seed, 5, weighted=True, absent=True)
    y, d, p, w = r.targets, r.decided, r.probs, r.weight
    truth = np.eye(5)[y][:, :4]
    each = theirs.average_precision_score(truth, p[:, :4], average=None, sample_weight=w)
    found = evaluate(p, y, class_counts=np.full(5, 50), probabilities=True, sample_weight=w, decided=d)
    assert found["per_class"]["average_precision"] == [*(pytest.approx(one, abs=1e-12) for one in each), None]
    assert found["average_precision"] == pytest.approx(each.mean(), abs=1e-12)
    areas = [theirs.roc_auc_score(truth[:, k], p[:, k], sample_weight=w) for k in range(4)]
    assert found["roc_auc"] == pytest.approx(np.mean(areas), abs=1e-12)
    for name in ("roc_auc", "average_precision"):
        assert found["per_class"][f"{name}_low"][4] is found["per_class"][f"{name}_high"][4] is None
    assert found["mcc"] == pytest.approx(theirs.matthews_corrcoef(y, d, sample_weight=w), abs=1e-12)
    assert found["log_loss"] == pytest.approx(theirs.log_loss(y, p, sample_weight=w, labels=np.arange(5)), abs=1e-12)
    # scikit-learn counts a class that is decided for though absent, with 0
    assert found["precision"] == pytest.approx(
        theirs.precision_score(y, d, average="macro", sample_weight=w, zero_division=0), abs=1e-12
    )


@cases("seed", range(4))
def test_the_points_of_the_curve_are_scikit_learns(seed: int) -> None:
    r = rows(seed, 3, weighted=True)
    for j in range(3):
        points = curve(r.probs[:, j], r.targets == j, r.weights)
        assert points is not None
        precision, recall, thresholds = theirs.precision_recall_curve(
            r.targets == j, r.probs[:, j], sample_weight=r.weight
        )  # fmt: skip
        assert points.thresholds[::-1] == pytest.approx(thresholds)
        assert points.precision[::-1] == pytest.approx(precision[:-1], abs=1e-12)
        assert points.recall[::-1] == pytest.approx(recall[:-1], abs=1e-12)
        whole = precision_recall_curve(r, j, points=10_000)
        assert whole["recall"] == pytest.approx(recall[:-1][::-1], abs=1e-12)


def test_a_thinned_curve_keeps_its_ends_and_its_shape() -> None:
    rng = np.random.default_rng(0)
    y = (rng.random(5000) < 0.1).astype(np.int64)
    score = 1 / (1 + np.exp(-rng.normal(size=5000) - 2 * y))
    r = Rows(np.stack([1 - score, score], 1), y, y)
    whole, thin = precision_recall_curve(r, 1, points=10_000), precision_recall_curve(r, 1, points=40)
    assert len(whole["recall"]) == 5000
    assert 30 <= len(thin["recall"]) <= 40
    for end in (0, -1):
        assert (thin["recall"][end], thin["precision"][end]) == (whole["recall"][end], whole["precision"][end])
    assert thin["recall"] == sorted(thin["recall"])
    assert set(zip(thin["recall"], thin["precision"], strict=True)) <= set(
        zip(whole["recall"], whole["precision"], strict=True)
    )
    area = np.trapezoid(thin["precision"], thin["recall"]) + thin["recall"][0]
    assert area == pytest.approx(theirs.average_precision_score(y, score), abs=0.03)
    absent = Rows(r.probs, y, np.zeros(5000, np.int64))
    assert precision_recall_curve(absent, 1) == {"recall": [], "precision": []}
    with pytest.raises(ValueError, match=r"class_index must lie in \[0, 2\), got 2"):
        precision_recall_curve(r, 2)
    with pytest.raises(ValueError, match="points must be >= 3, got 2; use points=60"):
        precision_recall_curve(r, 1, points=2)
