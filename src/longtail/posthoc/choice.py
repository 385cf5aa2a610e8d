"""The choice of tau on validation data: the grid, the metrics, the search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import torch
from torch import Tensor

from longtail.facts import checks
from longtail.facts.knobs import Choice, Range
from longtail.posthoc.corrections import as_tensor, checked_scores

METRIC = Choice(("balanced_accuracy", "accuracy", "macro_f1"))
Metric = Annotated[str, METRIC]


def checked_grid(taus: Sequence[float], default: str) -> tuple[float, ...]:
    """Return the values of a grid in ascending order, checked: at least one, all >= 0 and finite.

    Args:
        taus: the grid.
        default: the grid that is used where it is left out, for the message.
    """
    if len(taus) == 0:
        raise ValueError(f"taus must hold at least one value, got none; leave it out for {default}")
    grid = tuple(sorted(float(tau) for tau in taus))
    for tau in grid:
        Range(0, open_high=True).check("taus", tau)
    return grid


def best_tau(
    scores: Any,
    targets: Any,
    num_classes: int,
    taus: Sequence[float],
    adjusted: Callable[[Tensor, float], Tensor],
    metric: str,
) -> float:
    """Return the tau at which the adjusted scores have the best metric; ties go to the smallest.

    Args:
        scores: (N, C) of the validation part, tensor or array, unadjusted.
        targets: (N,) class indices.
        num_classes: C.
        taus: in ascending order.
        adjusted: scores and tau -> scores (N, C).
        metric: a name of `METRICS`.

    Raises:
        ValueError: no rows, rows of another number than targets, scores that are not finite, a target outside [0, C).
    """
    z, y = checked_scores(as_tensor(scores), num_classes, "scores"), as_tensor(targets)
    if z.ndim != 2 or y.shape != z.shape[:1] or not len(y) or y.is_floating_point():
        raise ValueError(
            f"targets must be one class index per row of scores (N, C), N >= 1, got {y.dtype} of shape "
            f"{tuple(y.shape)} for scores of shape {tuple(z.shape)}; pass a validation part"
        )
    checks.finite(z, "scores")
    y = y.long()
    if bool(((y < 0) | (y >= num_classes)).any()):
        wrong = int(y[(y < 0) | (y >= num_classes)][0])
        raise ValueError(f"targets must be in [0, {num_classes}), got {wrong}; drop what has no label")
    best, chosen = -1.0, taus[0]
    for tau in taus:
        value = METRICS[metric](adjusted(z, tau), y)
        if value > best + 1e-12:  # a tie, although its sum may be rounded differently
            best, chosen = value, tau
    return chosen


def _confusion_counts(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return, per class (C,) in float64: correct predictions, predictions, examples."""
    classes, predicted_class = scores.shape[1], scores.argmax(1)
    correct = torch.bincount(targets[predicted_class == targets], minlength=classes)
    predicted = torch.bincount(predicted_class, minlength=classes)
    return correct.double(), predicted.double(), torch.bincount(targets, minlength=classes).double()


def _balanced_accuracy(scores: Tensor, targets: Tensor) -> float:
    correct, _, n = _confusion_counts(scores, targets)
    return float((correct[n > 0] / n[n > 0]).mean())


def _accuracy(scores: Tensor, targets: Tensor) -> float:
    return float((scores.argmax(1) == targets).double().mean())


def _macro_f1(scores: Tensor, targets: Tensor) -> float:
    correct, predicted, n = _confusion_counts(scores, targets)
    present = predicted + n > 0
    return float((2 * correct[present] / (predicted + n)[present]).mean())


METRICS: dict[str, Callable[[Tensor, Tensor], float]] = {
    "balanced_accuracy": _balanced_accuracy,
    "accuracy": _accuracy,
    "macro_f1": _macro_f1,
}
