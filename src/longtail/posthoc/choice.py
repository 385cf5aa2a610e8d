"""The choice of tau on validation data: the grid, the objectives, the search."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np
from torch import Tensor

from longtail.facts import checks
from longtail.facts.knobs import Choice, Range
from longtail.facts.messages import quoted
from longtail.posthoc.corrections import as_tensor, checked_scores
from longtail.posthoc.decisions.costs import read_cost
from longtail.posthoc.decisions.objectives import OF_ALL, OF_ONE, Objective, objective
from longtail.posthoc.decisions.tallies import Floats, value

METRIC = Choice(tuple(name for name in OF_ALL if name != "cost"))
Metric = Annotated[str, METRIC]


class ObjectiveChoice(Choice):
    """An objective as `decisions.objective` reads it; the words are examples of those with a number."""

    def check(self, name: str, value: Any) -> None:
        """Raise ValueError, naming the knob, where it is none."""
        try:
            found = objective(value)
        except ValueError as error:
            if "unknown objective" not in str(error):
                raise
            raise ValueError(f"{name} must be {self}, got {quoted(value)}; choose one of these") from None
        if found.top:
            raise ValueError(
                f"{name} must be a share of the rows where it limits alarms, got {quoted(value)}, a number of rows "
                "that are decided together; write alarms<=1%, or decide a trained model with --objective"
            )


class CostChoice(Choice):
    """Costs in words, as `read_cost` reads them, or the path of a file of costs; the words are examples."""

    def __str__(self) -> str:
        return f"costs as {' or '.join(self.words)}, or the path of a file of costs"

    def check(self, name: str, value: Any) -> None:
        """Raise ValueError, naming the knob, where it is no text, or words that cannot be read."""
        if not isinstance(value, str):
            raise ValueError(f'{name} must be {self}, got {quoted(value)}; write {name}="{self.words[0]}"')
        if "=" in value:
            read_cost(value, 2, 0)


class ClassChoice(Choice):
    """A class by its name or index; which there are is known with the data."""

    def __str__(self) -> str:
        return "a class by its name or index"

    def check(self, name: str, value: Any) -> None:
        """Raise ValueError, naming the knob, where it is neither a text nor an integer >= 0."""
        if not isinstance(value, str | int) or isinstance(value, bool) or (isinstance(value, int) and value < 0):
            raise ValueError(f"{name} must be {self}, got {quoted(value)}; quote a name")


OBJECTIVE = ObjectiveChoice((*OF_ALL, *(text for text in OF_ONE if not objective(text).top)))
Goal = Annotated[str, OBJECTIVE]
Cost = Annotated[str, CostChoice(("missed=10,false=1", "missed=5,false=1"))]
PositiveClass = Annotated[str | int, ClassChoice(("a class",))]


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
    metric: str | Objective,
    *,
    sample_weight: Any = None,
    positive: int | None = None,
    cost: Floats | None = None,
) -> float:
    """Return the tau at which the adjusted scores have the best metric; ties go to the smallest.

    Where no tau meets a condition such as recall>=0.9, that which comes nearest.

    Args:
        scores: (N, C) of the validation part, tensor or array, unadjusted.
        targets: (N,) class indices.
        num_classes: C.
        taus: in ascending order.
        adjusted: scores and tau -> scores (N, C).
        metric: an objective; see `decisions.objective`.
        sample_weight: (N,) >= 0; None is 1 for every row.
        positive: the class of an objective of one class.
        cost: (C, C) of the objective cost.

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
    goal, true = objective(metric), y.numpy(force=True)
    weight = np.ones(len(y)) if sample_weight is None else as_tensor(sample_weight).double().numpy(force=True)
    best, chosen = -math.inf, taus[0]
    for tau in taus:
        decided = adjusted(z, tau).argmax(1).numpy(force=True)
        found = value(goal, true, decided, weight, num_classes, positive=positive, cost=cost)
        if found > best + 1e-12:  # a tie, although its sum may be rounded differently
            best, chosen = found, tau
    return chosen
