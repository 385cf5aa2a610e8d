"""An evaluation over batches: what adds up from one to the next."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.facts.arrays import by_class
from longtail.facts.groups import groups
from longtail.metrics import reported
from longtail.metrics.calibration import BINS, class_gaps, confidence_gaps
from longtail.metrics.inputs import (
    checked_cost,
    checked_labels,
    checked_positive,
    checked_probabilities,
    checked_scores,
    checked_weights,
)
from longtail.metrics.proper import brier_losses, log_losses
from longtail.metrics.rates import Floats, weighted_count
from longtail.metrics.rows import Counts

__all__ = ["Tally"]

CELLS = 1 << 20
"""Scores evaluated at a time, so that memory does not grow with N."""


class Tally:
    """`evaluate` over batches: ``update(scores, targets)`` for each, then ``result()``.

    Its state is O(C), for any number of examples. What needs all rows at once is None in the result: average
    precision and ROC AUC, which rank them, and the intervals of ``macro_f1``, ``weighted_f1``, ``precision`` and
    ``mcc``, in which one row counts for two classes.
    """

    def __init__(
        self, class_counts: Any, *, probabilities: bool = False, cost: Any = None, positive: int | None = None
    ) -> None:
        """See ``evaluate`` for the arguments."""
        counts = by_class(class_counts)
        self.groups = groups(counts)
        self.probabilities = probabilities
        self.num_classes = num_classes = len(counts)
        self.cost = None if cost is None else checked_cost(cost, num_classes)
        self.positive = None if positive is None else checked_positive(positive, num_classes)
        self.weighted = False
        self.hits, self.support, self.predicted = np.zeros((3, num_classes))
        self.gaps = np.zeros((2, BINS))
        self.class_gaps = np.zeros((2, num_classes, BINS))
        self.losses = np.zeros((2, 3))

    @property
    def counts(self) -> Counts:
        """The weights that the metrics of decisions read."""
        return Counts(self.hits, self.support, self.predicted)

    def update(self, scores: Any, targets: Any, *, sample_weight: Any = None, decided: Any = None) -> None:
        """Add a batch: scores (N, C), targets, weights, decisions (N,). A batch that raises changes nothing."""
        rows = checked_scores(scores, self.num_classes)
        labels = checked_labels(targets, len(rows), self.num_classes)
        weight = checked_weights(sample_weight, len(rows))
        classes = None if decided is None else checked_labels(decided, len(rows), self.num_classes, "decided")
        step = max(1, CELLS // self.num_classes)
        added: tuple[Floats, ...] = ()
        for first in range(0, len(rows), step):
            part = slice(first, first + step)
            sums = self._sums(rows[part], labels[part], weight[part], None if classes is None else classes[part], first)
            added = tuple(old + new for old, new in zip(added, sums, strict=True)) if added else sums
        for total, new in zip(self._totals(), added, strict=True):
            total += new
        self.weighted |= sample_weight is not None

    def _totals(self) -> tuple[Floats, ...]:
        return self.hits, self.support, self.predicted, self.gaps, self.class_gaps, self.losses

    def _sums(
        self,
        scores: NDArray[Any],
        targets: NDArray[np.int64],
        weight: Floats,
        decided: NDArray[np.int64] | None,
        first_row: int,
    ) -> tuple[Floats, ...]:
        probs = checked_probabilities(scores, self.probabilities, first_row)
        likeliest = scores.argmax(axis=1)  # of the scores: a saturated softmax has ties that they do not have
        predicted = likeliest if decided is None else decided
        right = predicted == targets
        confidence = probs[np.arange(len(probs)), likeliest]
        size = self.num_classes
        cost = np.zeros(len(probs)) if self.cost is None else self.cost[targets, predicted]
        losses = np.stack([log_losses(probs, targets), brier_losses(probs, targets), cost])
        return (
            weighted_count(targets, weight * right, size),
            weighted_count(targets, weight, size),
            weighted_count(predicted, weight, size),
            confidence_gaps(confidence, likeliest == targets, weight, BINS),
            class_gaps(probs, targets, weight, BINS),
            np.stack([losses @ weight, losses**2 @ weight]),
        )

    def result(self) -> dict[str, Any]:
        """Return the dict that ``evaluate`` describes; None for what is not known from sums."""
        return reported.of(self, None, None)
