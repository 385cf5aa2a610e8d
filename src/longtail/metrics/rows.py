"""One classifier on one set of rows: what every metric of the registry reads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from longtail.metrics.ranking import Areas, one_against_rest
from longtail.metrics.rates import Floats, weighted_count

__all__ = ["Counts", "Labels", "Rows"]

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Counts:
    """Weight per class, each (C,): of the rows that are right, of its rows, of the rows decided for it."""

    hits: Floats
    support: Floats
    predicted: Floats


@dataclass(frozen=True)
class Rows:
    """Probabilities, decisions and labels of N rows and C classes.

    Args:
        probs: (N, C) float64, rows that sum to 1. Rankings, log loss, Brier score and calibration read them.
        decided: (N,) int64, the class that was decided for each row, by whatever rule.
        targets: (N,) int64, the true classes.
        weight: (N,) float64 >= 0; a row of weight k counts as k copies. None: ones.
        positive: the class that the one-class metrics mean.
        cost: (C, C) float64, Cost[true, decided].

    Raises:
        ValueError: shapes that do not fit, classes outside [0, C), negative or all-zero weights, a cost that is not
            finite. (`metrics.evaluate` checks that probabilities are ones.)
    """

    probs: Floats
    decided: Labels
    targets: Labels
    weight: Floats | None = None
    positive: int | None = None
    cost: Floats | None = None

    def __post_init__(self) -> None:
        if self.probs.ndim != 2 or 0 in self.probs.shape:
            raise ValueError(f"probs must have shape (N, C), N and C >= 1, got {self.probs.shape}; one row per example")
        n, size = self.probs.shape
        for name, labels in (("decided", self.decided), ("targets", self.targets)):
            if labels.shape != (n,):
                raise ValueError(f"{name} must have shape ({n},), got {labels.shape}; give one class per row")
            if labels.min() < 0 or labels.max() >= size:
                raise ValueError(
                    f"{name} must lie in [0, {size}), got {labels.min()} to {labels.max()}; leave out rows without one"
                )
        if self.weight is not None:
            if self.weight.shape != (n,):
                raise ValueError(f"weight must have shape ({n},), got {self.weight.shape}; give one per row")
            if not (np.isfinite(self.weight).all() and self.weight.min() >= 0 and self.weight.sum() > 0):
                raise ValueError("weight must be finite, >= 0 and > 0 for some row; use 0 to leave a row out")
        if self.positive is not None and not 0 <= self.positive < size:
            raise ValueError(f"positive must lie in [0, {size}), got {self.positive}; give the index of a class")
        if self.cost is not None and (self.cost.shape != (size, size) or not np.isfinite(self.cost).all()):
            raise ValueError(
                f"cost must have shape ({size}, {size}) and be finite, got shape {self.cost.shape}; "
                "give Cost[true, decided] for every pair of classes"
            )

    @property
    def num_classes(self) -> int:
        """C."""
        return int(self.probs.shape[1])

    @cached_property
    def weights(self) -> Floats:
        """The weight of every row, (N,)."""
        return np.ones(len(self.targets)) if self.weight is None else self.weight

    @cached_property
    def total(self) -> float:
        """The sum of the weights."""
        return float(self.weights.sum())

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Whether the decision is right, (N,)."""
        return np.asarray(self.decided == self.targets)

    @cached_property
    def counts(self) -> Counts:
        """What the metrics of decisions read."""
        size = self.num_classes
        return Counts(
            weighted_count(self.targets, self.weights * self.right, size),
            weighted_count(self.targets, self.weights, size),
            weighted_count(self.decided, self.weights, size),
        )

    @cached_property
    def areas(self) -> Areas:
        """Average precision and ROC AUC of every class, which take most of the time."""
        columns = np.ascontiguousarray(self.probs.T)
        return one_against_rest([columns], self.num_classes, self.targets, self.weights)

    def the_positive(self) -> int:
        """Return `positive`.

        Raises:
            ValueError: it was not given.
        """
        if self.positive is None:
            raise ValueError("positive must be given for a metric of one class, got None; name the class")
        return self.positive
