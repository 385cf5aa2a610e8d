"""Confidence intervals of the metric itself for several candidates, of which the best will be chosen by it.

Candidate m is trained with S_m seeds and scored on one set of rows, a_m = mean_s a[m, s]. What varies is the choice of
the rows (the bootstrap of `resampling`, the same for all candidates) and the seed, with one variance sigma^2 for all,
estimated within candidates. The intervals a_m -+ c se_m are simultaneous: c is the `level` quantile of
max_m |noise_m| / se_m. All of them cover with probability `level`, so that of the chosen one does, however it was
chosen, though its middle is too high on average.

Few rows of a class may all be wrong, and then the bootstrap claims certainty, as it would where all are right. Its
strata vary by (mean / n)^2 for that (`resampling`), which is nothing at recall 0; here they vary by
(1 - mean)^2 min(1/n^2, 1/(4n)) too: the second is the largest variance that the mean of n rows can have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.comparison.evidence.influences import Judged, resampled, width_where_all_fail
from longtail.comparison.evidence.measure import Measure, judged, measure_of
from longtail.comparison.evidence.resampling import metric_values, resampled_differences
from longtail.metrics.rates import Floats

Labels = NDArray[np.int64]
_PARTS = ("influence", "parts", "room")


def metric_intervals(
    predictions: Mapping[str, Mapping[int, Any]],
    targets: Labels,
    metric: str | Measure,
    *,
    num_classes: int,
    draws: int = 4000,
    level: float = 0.95,
    sample_weight: Floats | None = None,
) -> dict[str, tuple[float, float]]:
    """Return the ends of each candidate's interval, within the range of the metric.

    Args:
        predictions: candidate -> seed -> predicted classes (N,), or `Rows` or `Judged` for metrics that read more.
        targets: (N,). metric: of the registry. num_classes: C. draws: resamples. level: of all intervals together.
        sample_weight: (N,) >= 0, how many rows each one counts as.
    """
    measure = measure_of(metric, num_classes) if isinstance(metric, str) else metric
    predictions = judged(predictions, targets, measure, sample_weight)
    runs = [row for seeds in predictions.values() for row in seeds.values()]
    owner = np.repeat(np.arange(len(predictions)), [len(seeds) for seeds in predictions.values()])
    of = (np.arange(len(predictions))[:, None] == owner).astype(np.float64)
    of /= of.sum(axis=1, keepdims=True)
    generator = np.random.default_rng(0)
    if isinstance(runs[0], Judged):
        values, noise = np.array([run.value for run in runs]), _noise(runs, of, draws, generator)
    else:
        rows = np.stack(runs)
        if sample_weight is not None:
            used = sample_weight > 0
            rows, targets, sample_weight = rows[:, used], targets[used], sample_weight[used]
        values = metric_values(rows, targets, measure.name, num_classes, sample_weight)
        noise = resampled_differences(rows, targets, of, measure.name, num_classes, draws, generator, sample_weight)
        noise += _where_all_are_wrong(of @ (rows == targets), targets, measure.name, draws, generator, sample_weight)
    mean = of @ values
    seed_variance, df = _seed_variance(values - mean[owner], owner)
    per_mean = seed_variance * (of**2).sum(axis=1)
    se = np.sqrt(noise.var(axis=0, ddof=1) + per_mean)
    if df:
        drawn = generator.standard_normal(noise.shape) * np.sqrt(per_mean)
        noise += drawn * np.sqrt(df / generator.chisquare(df, draws))[:, None]
    moving = se > 1e-12
    largest = (np.abs(noise[:, moving]) / se[moving]).max(axis=1, initial=0.0)
    half = float(np.quantile(largest, level, method="higher")) * se
    ends = np.clip(np.stack([mean - half, mean + half]), *measure.ends)
    return {name: (float(low), float(high)) for name, low, high in zip(predictions, *ends, strict=True)}


def _noise(runs: Sequence[Judged], of: Floats, draws: int, generator: np.random.Generator) -> Floats:
    """Return the noise (draws, K) of candidates whose runs are judged, of strata that contribute nothing, too."""
    strata = runs[0].strata
    influence, parts, room = (of @ np.stack([getattr(run, name) for run in runs]) for name in _PARTS)
    noise = resampled(influence, parts, strata, draws, generator)
    widths = np.stack([width_where_all_fail(one, strata) for one in room])
    return np.asarray(noise + generator.choice([-1.0, 1.0], size=(draws, room.shape[1])) @ widths.T)


def _where_all_are_wrong(
    right: Floats, targets: Labels, metric: str, draws: int, generator: np.random.Generator, weight: Floats | None
) -> Floats:
    """Return noise (draws, K): of every stratum of n rows +-(1 - mean) min(1/n, 1/(2 sqrt(n))), with the signs of
    all candidates alike.

    Args:
        right: (K, N), the share of a candidate's seeds that are right. Others: as in `metric_intervals`.
    """
    strata = np.zeros_like(targets) if metric == "accuracy" else targets
    members = strata == np.unique(strata)[:, None]
    sizes, weighted = members.sum(axis=1), members * (1.0 if weight is None else weight)
    wrong = 1.0 - right @ weighted.T / weighted.sum(axis=1)
    signs = generator.choice([-1.0, 1.0], size=(draws, len(sizes)))
    return np.asarray(signs @ (wrong * np.minimum(1.0 / sizes, 0.5 / np.sqrt(sizes)) / len(sizes)).T)


def _seed_variance(residual: Floats, owner: Labels) -> tuple[float, int]:
    """Return sigma^2 and its degrees of freedom from the candidates whose seeds differ; (0.0, 0) without any."""
    varies = np.isin(owner, owner[np.abs(residual) > 1e-12])
    df = int(varies.sum()) - len(np.unique(owner[varies]))
    return (float((residual[varies] ** 2).sum()) / df, df) if df else (0.0, 0)
