"""Paired bootstrap over test examples: how a comparison varies with the draw of the test set.

One resample gives every test example a weight, the same for all methods and seeds, so that what two methods
share cancels, and every method is scored on it.

Strata. Balanced accuracy and macro F1 treat classes one by one: class sizes say nothing about recall, and a
resample without a rare class would be another quantity; so each class is resampled within itself. Accuracy
depends on the class mix, which is random in a random test set, so there the whole set is one stratum.

Weights. A plain bootstrap of n examples understates a variance by (n-1)/n, which is half of it for a class
with two test examples. In a stratum of size n we therefore draw n - 1 examples and count each n/(n-1) times
(Rao and Wu 1988, "Resampling inference with complex survey data", JASA 83): the variance of a mean becomes
S^2/n with the unbiased S^2. Few examples may also all agree, and then S^2 = 0 claims certainty; so a
stratum's total is n + 1 or n - 1 at random, which adds (mean/n)^2 to that variance: nothing for a large
class, all there is for a single example (counted twice or not at all).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from longtail.metrics.rates import Floats, balanced_accuracy, f1, macro_f1, weighted_count

__all__ = ["METRICS", "metric_values", "resampled_differences"]

Labels = NDArray[np.int64]

METRICS = {"balanced_accuracy": "balanced accuracy", "accuracy": "accuracy", "macro_f1": "macro F1"}

_CELLS = 1 << 21  # weights in memory at a time


def metric_values(
    predictions: Labels, targets: Labels, metric: str, num_classes: int, weight: Floats | None = None
) -> Floats:
    """Return the metric (R,) of each row of ``predictions`` (R, N), a fraction; an example of weight k counts as k."""
    w = np.ones(len(targets)) if weight is None else weight
    support = weighted_count(targets, w, num_classes)
    hits = np.stack([weighted_count(targets, w * (row == targets), num_classes) for row in predictions])
    if metric == "accuracy":
        return np.asarray(hits.sum(axis=1) / w.sum(), dtype=np.float64)
    if metric == "balanced_accuracy":
        return balanced_accuracy(hits, support)
    predicted = np.stack([weighted_count(row, w, num_classes) for row in predictions])
    return macro_f1(hits, support, predicted)


def resampled_differences(
    predictions: Labels,
    targets: Labels,
    pairing: Floats,
    metric: str,
    num_classes: int,
    draws: int,
    generator: np.random.Generator,
    weight: Floats | None = None,
) -> Floats:
    """Return the differences between methods on resampled test sets, less their mean.

    Args:
        predictions: (R, N), one row per method and seed. targets: (N,).
        pairing: (K, R), the K differences as combinations of the R rows' metric values.
        metric: a key of METRICS. num_classes: C. draws: number of resamples. generator: its randomness.
        weight: (N,) > 0, how many examples each one counts as; it is drawn as one.

    Returns:
        (draws, K), mean 0 per column.
    """
    strata = np.zeros_like(targets) if metric == "accuracy" else targets
    order = np.argsort(strata, kind="stable")
    strata, targets, predictions = strata[order], targets[order], predictions[:, order]
    sizes = np.unique(strata, return_counts=True)[1]
    weights = resampling_weights(sizes, draws, generator)
    if metric == "macro_f1":
        if weight is not None:
            weights = (block * weight[order] for block in weights)
        values = _macro_f1(predictions, targets, num_classes, weights) @ pairing.T
    else:  # a mean of per-example differences, one matrix product
        right = (predictions == targets).astype(np.float64)
        each = np.repeat(1.0 / (sizes * len(sizes)), sizes)
        if weight is None:
            gain = (pairing @ right * each).T
        else:
            gain = _linearised(pairing @ right, sizes, weight[order]).T * each[:, None]
        values = np.concatenate([block @ gain for block in weights])
    return np.asarray(values - values.mean(axis=0), dtype=np.float64)


def _linearised(gain: Floats, sizes: Labels, weight: Floats) -> Floats:
    """Return per-example differences (K, N) whose plain mean over a stratum varies as their weighted mean D does.

    d -> D + n w (d - D) / sum(w), the first-order term of a ratio of two sums; for equal weights it is d itself.
    """
    starts = np.cumsum(sizes) - sizes
    share = weight * np.repeat(sizes / np.add.reduceat(weight, starts), sizes)
    mean = np.repeat(np.add.reduceat(gain * share, starts, axis=1) / sizes, sizes, axis=1)
    return np.asarray(mean + share * (gain - mean))


def resampling_weights(sizes: Labels, draws: int, generator: np.random.Generator) -> Iterator[Floats]:
    """Yield blocks (b, N) of resampling weights, for examples sorted by stratum."""
    n = int(sizes.sum())
    starts = np.cumsum(sizes) - sizes
    slot_start, slot_size = np.repeat(starts, sizes - 1), np.repeat(sizes, sizes - 1).astype(np.float64)
    scale = np.where(sizes > 1, sizes / np.maximum(sizes - 1, 1), 1.0)
    for first in range(0, draws, max(1, _CELLS // n)):
        rows = min(max(1, _CELLS // n), draws - first)
        picks = (generator.random((rows, len(slot_size))) * slot_size).astype(np.int64)
        picks += slot_start + n * np.arange(rows)[:, None]
        block = np.bincount(picks.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)
        block[:, starts[sizes == 1]] = 1.0
        jitter = 1.0 + generator.choice([-1.0, 1.0], size=(rows, len(sizes))) / sizes
        block *= np.repeat(jitter * scale, sizes, axis=1)
        yield block


def _macro_f1(predictions: Labels, targets: Labels, num_classes: int, weights: Iterator[Floats]) -> Floats:
    """Return the macro F1 of every row on every resample, (draws, R), over the classes of the whole set."""
    from scipy.sparse import csr_array, vstack

    rows, n = predictions.shape
    right = predictions == targets
    cell = predictions + num_classes * right  # predicted wrongly | predicted rightly, per class
    cell += 2 * num_classes * np.arange(rows)[:, None]
    shape = (2 * num_classes * rows, n)
    count = csr_array((np.ones(rows * n), (cell.ravel(), np.tile(np.arange(n), rows))), shape=shape)
    present = csr_array((np.ones(n), (targets, np.arange(n))), shape=(num_classes, n))
    both = vstack([count, present], format="csr")
    known = np.bincount(targets, minlength=num_classes) > 0
    known = known | np.stack([np.bincount(row, minlength=num_classes) > 0 for row in predictions])
    values = []
    for block in weights:
        sums = np.asarray(both @ np.ascontiguousarray(block.T))
        support = sums[shape[0] :].T[:, None, :]
        wrong, hits = sums[: shape[0]].reshape(rows, 2, num_classes, -1).transpose(1, 3, 0, 2)
        each = np.nan_to_num(f1(hits, support, wrong + hits))  # a class that a resample lost scores 0
        values.append((each * known).sum(axis=-1) / known.sum(axis=-1))
    return np.concatenate(values)
