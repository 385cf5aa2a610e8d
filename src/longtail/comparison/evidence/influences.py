"""How any metric varies with the draw of the test set: by the influence of every test example on it.

A metric of weighted rows is, to first order, value(u) = value + sum_i (u_i - 1) influence_i, with influences as
`metrics.registry` defines them. A resample gives every example a weight u_i (`resampling`), the same for all methods,
so its noise is one matrix product. What a first-order term cannot see is a class with few examples that all agree: in
it u changes nothing. So every stratum s of n examples adds

    (sum_i u_i / n - 1) part_s

with part_s what the stratum contributes to the metric (its recall over C, of balanced accuracy): u sums to n + 1 or to
n - 1 at random. For accuracy and balanced accuracy, which are linear, the two terms together are exactly what
`resampling` draws for them; tests hold them to that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longtail.comparison.evidence.resampling import resampling_weights
from longtail.metrics.rates import Floats

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Judged:
    """One run under one metric, on M test rows of S strata.

    ``said``: (M,) what makes two runs the same to this metric: the decided classes, or the influences where it reads
    probabilities. ``influence``: (M,). ``parts``: (S,) what each stratum contributes to ``value``. ``room``: (S,) how
    much more it could contribute. ``strata``: (M,) indices below S, the same for all runs.
    """

    said: NDArray[np.generic]
    value: float
    influence: Floats
    parts: Floats
    room: Floats
    strata: Labels


def resampled(influence: Floats, parts: Floats, strata: Labels, draws: int, generator: np.random.Generator) -> Floats:
    """Return the noise (draws, K) of K metrics or differences of metrics, mean 0 per column.

    Args:
        influence: (K, M). parts: (K, S). strata: (M,) indices below S.
        draws: number of resamples. generator: their randomness.
    """
    order = np.argsort(strata, kind="stable")
    sizes = np.bincount(strata, minlength=parts.shape[1])
    starts = np.cumsum(sizes) - sizes
    gain, part = influence[:, order].T, parts.T
    values = []
    for block in resampling_weights(sizes, draws, generator):
        totals = np.add.reduceat(block, starts, axis=1) / sizes
        values.append(block @ gain + (totals - 1.0) @ part)
    noise = np.concatenate(values)
    return np.asarray(noise - noise.mean(axis=0), dtype=np.float64)


def variance(influence: Floats, parts: Floats, strata: Labels) -> float:
    """Return the variance of that noise for one metric, influence (M,) and parts (S,), without drawing it.

    Of a stratum with n examples: (1 + 1/n^2) n/(n - 1) sum (x - mean x)^2 + (sum x + part)^2 / n^2.
    """
    sizes = np.bincount(strata, minlength=len(parts)).astype(np.float64)
    totals = np.bincount(strata, weights=influence, minlength=len(parts))
    apart = influence - (totals / sizes)[strata]
    squares = np.bincount(strata, weights=apart**2, minlength=len(parts))
    inner = np.where(sizes > 1, (1 + sizes**-2.0) * sizes / np.maximum(sizes - 1, 1), 0.0) * squares
    return float((inner + ((totals + parts) / sizes) ** 2).sum())


def width_where_all_fail(room: Floats, strata: Labels) -> Floats:
    """Return (S,): the spread of strata that contribute nothing, which a resample takes for certain.

    As in `metric_intervals`: room min(1/n, 1/(2 sqrt n)); the second is the largest that the mean of n rows can have.
    """
    sizes = np.bincount(strata, minlength=len(room)).astype(np.float64)
    return np.asarray(room * np.minimum(1.0 / sizes, 0.5 / np.sqrt(sizes)))
