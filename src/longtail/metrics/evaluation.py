"""``evaluate``: every metric to report on a long-tailed test set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.facts.arrays import by_class
from longtail.facts.groups import groups
from longtail.metrics.calibration import BINS, class_gaps, confidence_gaps
from longtail.metrics.inputs import checked_labels, checked_probabilities, checked_scores, checked_weights
from longtail.metrics.intervals import wilson
from longtail.metrics.rates import (
    Floats,
    balanced_accuracy,
    f1,
    g_mean,
    macro_f1,
    mean_of_defined,
    ratio,
    weighted_count,
)

__all__ = ["Tally", "evaluate"]

_CELLS = 1 << 20  # scores evaluated at a time, so that memory does not grow with N


def evaluate(
    scores: Any,
    targets: Any,
    *,
    class_counts: Any,
    probabilities: bool = False,
    sample_weight: Any = None,
    decided: Any = None,
) -> dict[str, Any]:
    """Score a classifier so that rare classes are not hidden; fractions in [0, 1], ready for JSON.

    Args:
        scores: (N, C) logits, or probabilities where ``probabilities=True``; the prediction is the largest,
            ties go to the lowest index. Arrays, lists or tensors.
        targets: (N,) class indices in [0, C).
        class_counts: (C,) *training* examples per class: they make the many/medium/few groups. By key where they have
            keys (a dict, a Counter, a pandas Series).
        probabilities: the scores are probabilities (rows sum to 1) rather than logits.
        sample_weight: (N,) weights; a weight of k equals k copies of the row, so ``n`` and the n of the Wilson
            interval are sums of weights, whole or not. Weights that are no counts (survey weights, say) make that
            interval too narrow or too wide unless they sum to the number of examples that they are worth.
        decided: (N,) the predicted classes, where another rule than the largest score decides; the scores then serve
            the calibration alone.

    Returns:
        A dict: ``accuracy``; ``balanced_accuracy`` (mean recall); ``macro_f1``; ``g_mean`` (geometric mean
        of recalls); ``many``, ``medium``, ``few`` (mean recall of each group) and ``groups``, the rule that
        made them; ``worst_class`` (lowest recall); ``ece``, ``classwise_ece`` (15 bins); ``per_class``:
        lists of ``recall``, ``n``, ``low``, ``high`` (Wilson, 95 %), ``precision``, ``f1``.
        What is undefined is None and outside the means: the recall of a class without test examples, the
        precision of one never predicted. Definitions: scikit-learn's, imbalanced-learn's for ``g_mean``.

    Raises:
        ValueError, TypeError: no examples, NaN or infinite scores, shapes that do not fit, labels outside
            [0, C), rows that do not sum to 1.
    """
    tally = Tally(class_counts, probabilities=probabilities)
    tally.update(scores, targets, sample_weight=sample_weight, decided=decided)
    return tally.result()


class Tally:
    """The same evaluation over batches: ``update(scores, targets)`` for each, then ``result()``.

    Its state is O(C), for any number of examples.
    """

    def __init__(self, class_counts: Any, *, probabilities: bool = False) -> None:
        """See ``evaluate`` for the arguments."""
        counts = by_class(class_counts)
        self.groups = groups(counts)
        self.probabilities = probabilities
        self.num_classes = num_classes = len(counts)
        self.weighted = False
        self.hits, self.support, self.predicted = np.zeros((3, num_classes))
        self.gaps = np.zeros(BINS)
        self.class_gaps = np.zeros((num_classes, BINS))

    def update(self, scores: Any, targets: Any, *, sample_weight: Any = None, decided: Any = None) -> None:
        """Add a batch: scores (N, C), targets, weights, decisions (N,). A batch that raises changes nothing."""
        rows = checked_scores(scores, self.num_classes)
        labels = checked_labels(targets, len(rows), self.num_classes)
        weight = checked_weights(sample_weight, len(rows))
        classes = None if decided is None else checked_labels(decided, len(rows), self.num_classes, "decided")
        step = max(1, _CELLS // self.num_classes)
        added: tuple[Floats, ...] = ()
        for first in range(0, len(rows), step):
            part = slice(first, first + step)
            sums = self._sums(rows[part], labels[part], weight[part], None if classes is None else classes[part], first)
            added = tuple(old + new for old, new in zip(added, sums, strict=True)) if added else sums
        for total, new in zip(self._totals(), added, strict=True):
            total += new
        self.weighted |= sample_weight is not None

    def _totals(self) -> tuple[Floats, ...]:
        return self.hits, self.support, self.predicted, self.gaps, self.class_gaps

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
        return (
            weighted_count(targets, weight * right, size),
            weighted_count(targets, weight, size),
            weighted_count(predicted, weight, size),
            confidence_gaps(confidence, likeliest == targets, weight, BINS),
            class_gaps(probs, targets, weight, BINS),
        )

    def result(self) -> dict[str, Any]:
        """Return the dict that ``evaluate`` describes."""
        hits, support, predicted = self.hits, self.support, self.predicted
        total = float(support.sum())
        if total <= 0.0:
            raise ValueError(f"the test examples must have a positive total weight, got {total}; add some first")
        recall = ratio(hits, support)
        low, high = wilson(np.minimum(hits, support), support)
        grouped = {
            name: _number(mean_of_defined(recall[list(members)]))
            for name, members in self.groups._asdict().items()
            if name != "rule"
        }
        return {
            "accuracy": float(hits.sum() / total),
            "balanced_accuracy": float(balanced_accuracy(hits, support)),
            "macro_f1": float(macro_f1(hits, support, predicted)),
            "g_mean": float(g_mean(hits, support)),
            **grouped,
            "worst_class": float(np.nanmin(recall)),
            "ece": float(np.abs(self.gaps).sum() / total),
            "classwise_ece": float(np.abs(self.class_gaps).sum() / (total * self.num_classes)),
            "groups": self.groups.rule,
            "per_class": {
                "recall": _numbers(recall),
                "n": _numbers(support) if self.weighted else support.astype(int).tolist(),
                "low": _numbers(low),
                "high": _numbers(high),
                "precision": _numbers(ratio(hits, predicted)),
                "f1": _numbers(f1(hits, support, predicted)),
            },
        }


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


def _numbers(values: Floats) -> list[float | None]:
    return [_number(value) for value in values]
