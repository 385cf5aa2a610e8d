"""evaluate: the numbers of scikit-learn and imbalanced-learn, whatever is handed in, and honest gaps."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn import metrics as reference
from tests.cases import cases

from longtail.metrics import Tally, classwise_ece, ece, evaluate, wilson

SCALARS = [
    "accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "precision", "mcc", "g_mean", "worst_class",
    "log_loss", "brier", "ece", "classwise_ece",
]  # fmt: skip


def random_case(seed: int, n: int = 200, classes: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """A classifier that is right half of the time, on a long-tailed test set."""
    rng = np.random.default_rng(seed)
    prior = 0.6 ** np.arange(classes)
    y = np.concatenate([np.arange(classes), rng.choice(classes, n - classes, p=prior / prior.sum())])
    scores = rng.normal(size=(n, classes))
    scores[np.arange(n), y] += 1.5
    return scores, y


def softmax(scores: np.ndarray) -> np.ndarray:
    return np.exp(scores) / np.exp(scores).sum(1, keepdims=True)


@cases("seed", range(12))
def test_scikit_learn_defines_accuracy_recall_precision_and_f1(seed: int) -> None:
    scores, y = random_case(seed)
    predicted = scores.argmax(1)
    result = evaluate(scores, y, class_counts=[500, 200, 80, 40, 25, 10, 5])
    assert result["accuracy"] == pytest.approx(reference.accuracy_score(y, predicted), abs=1e-15)
    assert result["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(y, predicted), abs=1e-15)
    assert result["macro_f1"] == pytest.approx(reference.f1_score(y, predicted, average="macro"), abs=1e-15)
    recall = reference.recall_score(y, predicted, average=None)
    per_class = result["per_class"]
    assert per_class["recall"] == pytest.approx(list(recall), abs=1e-15)
    assert per_class["f1"] == pytest.approx(list(reference.f1_score(y, predicted, average=None)), abs=1e-15)
    assert per_class["precision"] == pytest.approx(
        list(reference.precision_score(y, predicted, average=None)), abs=1e-15
    )
    assert per_class["n"] == np.bincount(y).tolist()
    assert result["worst_class"] == recall.min()
    assert result["many"] == pytest.approx(recall[:2].mean())
    assert result["medium"] == pytest.approx(recall[2:5].mean())
    assert result["few"] == pytest.approx(recall[5:].mean())
    low, high = wilson(recall * np.bincount(y), np.bincount(y))
    assert per_class["low"] == pytest.approx(list(low))
    assert per_class["high"] == pytest.approx(list(high))


@cases("seed", range(12))
def test_imbalanced_learn_defines_the_geometric_mean(seed: int) -> None:
    imblearn = pytest.importorskip("imblearn.metrics")
    scores, y = random_case(seed, n=400, classes=4)
    expected = imblearn.geometric_mean_score(y, scores.argmax(1))
    assert evaluate(scores, y, class_counts=[9, 9, 9, 9])["g_mean"] == pytest.approx(expected, abs=1e-14)
    scores[y == 3, 3] = -9.0  # a class that is never found
    assert imblearn.geometric_mean_score(y, scores.argmax(1)) == 0.0
    assert evaluate(scores, y, class_counts=[9, 9, 9, 9])["g_mean"] == 0.0


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_a_class_without_test_examples_has_no_recall_and_stands_outside_the_means() -> None:
    scores, y = random_case(3)
    scores, y = scores[y != 6], y[y != 6]
    predicted = scores.argmax(1)
    assert (predicted == 6).any()
    result = evaluate(scores, y, class_counts=[500, 200, 80, 40, 25, 15, 5])
    per_class = result["per_class"]
    assert (per_class["recall"][6], per_class["low"][6], per_class["high"][6]) == (None, None, None)
    assert per_class["n"][6] == 0
    assert result["few"] == per_class["recall"][5]
    assert result["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(y, predicted))
    # scikit-learn counts a class that is predicted though absent, with F1 = 0
    assert result["macro_f1"] == pytest.approx(reference.f1_score(y, predicted, average="macro"))
    recalls = np.array(per_class["recall"][:6])
    assert result["g_mean"] == pytest.approx(np.prod(recalls) ** (1 / 6))
    only = evaluate(scores[y < 2], y[y < 2], class_counts=[500, 200, 80, 40, 25, 15, 5])
    assert only["few"] is None
    assert only["medium"] is None


def test_a_class_never_predicted_has_no_precision() -> None:
    result = evaluate([[2.0, 1.0], [3.0, 0.0]], [0, 1], class_counts=[5, 5])
    assert result["per_class"]["precision"] == [0.5, None]
    assert result["per_class"]["f1"] == [pytest.approx(2 / 3), 0.0]
    assert result["many"] is result["medium"] is result["few"] is None


def test_the_calibration_of_logits_is_that_of_their_softmax() -> None:
    scores, y = random_case(5)
    probs = softmax(scores)
    from_logits = evaluate(scores, y, class_counts=np.ones(7))
    from_probs = evaluate(probs, y, class_counts=np.ones(7), probabilities=True)
    for result in (from_logits, from_probs):
        assert result["ece"] == pytest.approx(ece(probs, y), abs=1e-13)
        assert result["classwise_ece"] == pytest.approx(classwise_ece(probs, y), abs=1e-13)


def test_extreme_logits_are_ranked_and_calibrated_without_overflow() -> None:
    result = evaluate([[1e4, 1e4 - 1e-3], [-1e4, 1e4], [-np.inf, 0.0]], [0, 1, 1], class_counts=[5, 5])
    assert result["accuracy"] == 1.0
    assert result["ece"] == pytest.approx((1 - 1 / (1 + np.exp(-1e-3))) / 3)


def test_a_tie_goes_to_the_lowest_index() -> None:
    assert evaluate([[1.0, 1.0], [0.0, 0.0]], [0, 1], class_counts=[5, 5])["accuracy"] == 0.5


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_tensors_arrays_and_lists_are_one(dtype: torch.dtype) -> None:
    scores, y = random_case(6)
    tensor = torch.tensor(scores, dtype=dtype, requires_grad=True)
    array = tensor.detach().double().numpy()
    expected = evaluate(array, y, class_counts=np.arange(7))
    assert evaluate(tensor, torch.tensor(y), class_counts=torch.arange(7)) == expected
    assert evaluate(array.tolist(), y.tolist(), class_counts=list(range(7))) == expected


def test_a_weight_of_k_is_k_copies_of_the_row() -> None:
    scores, y = random_case(7)
    copies = np.random.default_rng(7).integers(0, 4, len(y))
    weighted = evaluate(scores, y, class_counts=np.arange(7) * 30, sample_weight=copies)
    repeated = evaluate(scores.repeat(copies, 0), y.repeat(copies), class_counts=np.arange(7) * 30)
    for key in [*SCALARS, "many", "medium", "few"]:
        assert weighted[key] == pytest.approx(repeated[key], abs=1e-13), key
    for key, values in weighted["per_class"].items():
        assert values == pytest.approx(repeated["per_class"][key], abs=1e-13), key


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_batches_add_up_to_the_whole(batch: int) -> None:
    scores, y = random_case(8)
    whole = evaluate(scores, y, class_counts=np.arange(7))
    tally = Tally(np.arange(7))
    for at in range(0, len(y), batch):
        tally.update(scores[at : at + batch], y[at : at + batch])
    streamed = tally.result()
    for key in SCALARS:
        assert streamed[key] == pytest.approx(whole[key], abs=1e-13), key
    ranked = {f"{name}{end}" for name in ("average_precision", "roc_auc") for end in ("", "_low", "_high")}
    for name, values in whole["per_class"].items():
        assert streamed["per_class"][name] == ([None] * 7 if name in ranked else values), name
    needs_rows = {"average_precision", "roc_auc", "macro_f1", "weighted_f1", "precision", "mcc"}
    for name, ends in whole["intervals"].items():
        assert streamed["intervals"][name] == (None if name in needs_rows else pytest.approx(ends, abs=1e-9)), name


def test_more_scores_than_are_held_at_once_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, y = random_case(9)
    whole = evaluate(scores, y, class_counts=np.arange(7))
    monkeypatch.setattr("longtail.metrics.tally.CELLS", 70)
    parts = evaluate(scores, y, class_counts=np.arange(7))
    assert [parts[key] for key in SCALARS] == pytest.approx([whole[key] for key in SCALARS], abs=1e-13)
    assert parts["per_class"]["roc_auc"] == pytest.approx(whole["per_class"]["roc_auc"], abs=1e-13)
    assert parts["per_class"]["average_precision"] == pytest.approx(whole["per_class"]["average_precision"], abs=1e-13)
    scores[57, 2] = np.nan
    with pytest.raises(ValueError, match="row 57"):
        evaluate(scores, y, class_counts=np.arange(7))


def test_the_result_is_json() -> None:
    scores, y = random_case(10)
    result = evaluate(scores[y > 0], y[y > 0], class_counts=[500, 200, 80, 40, 25, 10, 5])
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["groups"] == "many > 100, few < 20 training examples"


GOOD = np.array([[0.2, 0.8], [0.6, 0.4]])


@cases(
    ("scores", "targets", "options", "line"),
    [
        (np.zeros((0, 2)), [], {}, r"scores must hold at least one example, got shape \(0, 2\); nothing"),
        ([[0.0, np.nan], [1.0, 2.0]], [0, 1], {}, "scores must be finite, got nan in row 0; look for"),
        ([[0.0, np.inf], [1.0, 2.0]], [0, 1], {}, "scores must be finite, got inf in row 0; look for"),
        (
            np.zeros((2, 3)),
            [0, 1],
            {},
            r"scores must have shape \(N, 2\), one column .*, got \(2, 3\); give class_counts as",
        ),
        ([0.1, 0.9], [0, 1], {}, r"scores must have shape \(N, 2\), .* got \(2,\)"),
        (GOOD, [0], {}, r"targets must have shape \(2,\), one class index per example, got \(1,\); use"),
        (GOOD, [0, 2], {}, r"targets must lie in \[0, 2\), got 2 at row 1; drop"),
        (GOOD, [-100, 1], {}, r"targets must lie in \[0, 2\), got -100 at row 0; drop"),
        (
            GOOD * 2,
            [0, 1],
            {"probabilities": True},
            "sum to 1 where probabilities=True, got a row with sum 2",
        ),
        (
            [[1.5, -0.5], [1, 0]],
            [0, 1],
            {"probabilities": True},
            "got a row with sum 1 and minimum -0.5 at row 0",
        ),
        (
            GOOD,
            [0, 1],
            {"sample_weight": [1.0]},
            r"sample_weight must have shape \(2,\), got \(1,\); give one",
        ),
        (
            GOOD,
            [0, 1],
            {"sample_weight": [1, -2]},
            "sample_weight must be >= 0 and finite, got -2.0 at row 1",
        ),
        (GOOD, [0, 1], {"sample_weight": [0, 0]}, "must have a positive total weight, got 0.0; add some"),
    ],
)
def test_bad_values_are_named_in_one_line(scores: object, targets: object, options: dict, line: str) -> None:
    with pytest.raises(ValueError, match=line) as error:
        evaluate(scores, targets, class_counts=[5, 5], **options)
    assert "\n" not in str(error.value)


def test_bad_types_are_named() -> None:
    with pytest.raises(TypeError, match="targets must be integer class indices, got dtype float64; encode"):
        evaluate(GOOD, [0.0, 1.5], class_counts=[5, 5])
    with pytest.raises(TypeError, match="scores must be real numbers, got dtype <U1; pass"):
        evaluate([["a", "b"]], [0], class_counts=[5, 5])


def test_a_refused_batch_leaves_no_trace() -> None:
    tally = Tally([5, 5])
    tally.update(GOOD, [1, 0])
    before = tally.result()
    with pytest.raises(ValueError, match="row 1"):
        tally.update([[0.0, 1.0], [np.nan, 1.0]], [1, 0])
    assert tally.result() == before


@pytest.mark.slow
def test_the_metrics_load_without_torch() -> None:
    code = "import sys; import longtail.metrics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_column_of_labels_and_whole_floats_are_labels() -> None:
    wanted = evaluate(np.eye(3), [0, 1, 1], class_counts=[3, 2, 1])
    for targets in ([[0], [1], [1]], [0.0, 1.0, 1.0], np.array([[0.0], [1.0], [1.0]], np.float32)):
        assert evaluate(np.eye(3), targets, class_counts=[3, 2, 1]) == wanted
    for targets in ([0.5, 1, 1], ["a", "b", "b"], [0, 1, float("nan")]):
        with pytest.raises(TypeError, match=r"encode the labels first, for example with numpy.unique\(labels"):
            evaluate(np.eye(3), targets, class_counts=[3, 2, 1])


def test_another_rule_decides_and_the_calibration_is_that_of_the_scores() -> None:
    probs, y, counts = [[0.7, 0.3], [0.6, 0.4], [0.2, 0.8]], [0, 1, 1], [50, 5]
    moved = evaluate(probs, y, class_counts=counts, probabilities=True, decided=[0, 1, 1])
    plain = evaluate(probs, y, class_counts=counts, probabilities=True)
    assert moved["accuracy"] == 1.0
    assert plain["accuracy"] == 2 / 3
    assert moved["ece"] == plain["ece"]
    with pytest.raises(ValueError, match="decided must lie in"):
        evaluate(probs, y, class_counts=counts, probabilities=True, decided=[0, 2, 1])
