"""``evaluate``: every metric to report on a long-tailed test set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.facts.arrays import as_array
from longtail.metrics import reported, tally
from longtail.metrics.inputs import checked_labels, checked_probabilities, checked_scores, checked_weights
from longtail.metrics.ranking import one_against_rest
from longtail.metrics.rates import Floats
from longtail.metrics.tally import Tally

__all__ = ["Tally", "evaluate"]


def evaluate(
    scores: Any,
    targets: Any,
    *,
    class_counts: Any,
    probabilities: bool = False,
    sample_weight: Any = None,
    decided: Any = None,
    cost: Any = None,
    positive: int | None = None,
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
            interval are sums of weights, whole or not. Weights that are no counts (survey weights, say) make
            intervals too narrow or too wide unless they sum to the number of examples that they are worth.
        decided: (N,) the predicted classes, where another rule than the largest score decides; the scores then serve
            what reads probabilities: rankings, calibration, log loss and Brier score.
        cost: (C, C) what deciding each class (column) costs for each true class (row).
        positive: the class that is meant where one is, an index.

    Returns:
        A dict of numbers. Of decisions: ``accuracy``; ``balanced_accuracy`` (mean recall); ``macro_f1`` and
        ``weighted_f1``; ``precision`` (macro); ``mcc`` (Matthews correlation, in [-1, 1]); ``g_mean`` (geometric
        mean of recalls); ``many``, ``medium``, ``few`` (mean recall of each group) and ``groups``, the rule that made
        them; ``worst_class`` (lowest recall); with ``cost`` also ``cost`` (mean over rows). Of probabilities:
        ``average_precision`` and ``roc_auc`` (means over classes, each against the rest); ``log_loss``, ``brier``;
        ``ece``, ``classwise_ece`` (15 bins). With ``positive`` also ``positive_recall``, ``positive_precision``,
        ``positive_f1``, ``positive_average_precision``, ``positive_roc_auc``.

        ``intervals``: of each of these numbers [low, high], 95 %, over the draw of the test rows (`metrics.intervals`
        and the guide say how and how often they hold). ``per_class``: lists of ``recall``, ``n``, ``low``, ``high``
        (of the recall), ``precision``, ``f1``, ``average_precision``, ``roc_auc``, and of these four
        ``precision_low``, ``precision_high`` and so on.

        What is undefined is None: all of a class without test examples but its precision (0 where it is predicted),
        the precision of one never predicted. Recall, average precision and ROC AUC leave such classes out of the
        means; F1 and precision average over the classes that are present or predicted, and a class that is present
        and never predicted has 0 there. Definitions: scikit-learn's, imbalanced-learn's for ``g_mean``.

    Raises:
        ValueError, TypeError: no examples, NaN or infinite scores, shapes that do not fit, labels outside
            [0, C), rows that do not sum to 1, a cost that is not (C, C) and finite.
    """
    sums = Tally(class_counts, probabilities=probabilities, cost=cost, positive=positive)
    scores = as_array(scores)
    sums.update(scores, targets, sample_weight=sample_weight, decided=decided)
    rows = checked_scores(scores, sums.num_classes)
    labels = checked_labels(targets, len(rows), sums.num_classes)
    weight = checked_weights(sample_weight, len(rows))
    classes = rows.argmax(axis=1) if decided is None else checked_labels(decided, len(rows), sums.num_classes)
    if weight.sum() <= 0.0:
        return sums.result()  # which says so
    areas = one_against_rest(_columns(rows, probabilities), sums.num_classes, labels, weight)
    return reported.of(sums, reported.Decided(labels, classes, weight), areas)


def _columns(scores: NDArray[Any], probabilities: bool) -> Iterator[Floats]:
    """Yield the probabilities of consecutive classes, (b, N), at most CELLS numbers at a time."""
    n, num_classes = scores.shape
    if n * num_classes <= tally.CELLS:
        yield np.ascontiguousarray(checked_probabilities(scores, probabilities).T)
        return
    largest, total = np.zeros(n), np.ones(n)
    if not probabilities:
        step = max(1, tally.CELLS // num_classes)
        for first in range(0, n, step):
            part = scores[first : first + step].astype(np.float64)
            largest[first : first + step] = part.max(axis=1)
            total[first : first + step] = np.exp(part - largest[first : first + step, None]).sum(axis=1)
    step = max(1, tally.CELLS // n)
    for first in range(0, num_classes, step):
        block = scores[:, first : first + step].T.astype(np.float64, order="C")
        if not probabilities:
            block -= largest
            np.exp(block, out=block)
            block /= total
        yield block
