"""Paired differences to a reference method, with intervals that hold for all methods at once.

Each method m is scored in seeds s on one test set: a[m, s]. Its difference to the reference r is the mean
over the seeds that both have, D_m = mean_s (a[m, s] - a[r, s]). Two things make it vary:

    test examples    the paired bootstrap of ``resampling``, correlations between methods kept;
    seeds            a[m, s] = mu_m + b_s + e[m, s], e of one variance sigma^2 for all methods, estimated by
                     the residuals of this two-way table, (M-1)(S-1) degrees of freedom: three seeds of one
                     method alone tell nothing. D_m gets 2 sigma^2 / S, and two differences have
                     correlation 1/2 in it, because they share the reference.

se_m^2 is their sum. Which examples a seed happens to get right stands in both, so intervals err on the wide
side. They are D_m -+ c se_m, where c is the ``level`` quantile of max_m |noise_m| / se_m, and noise is a
draw of the test part plus one of the seed part, whose sigma^2 is drawn too, sigma^2 df / chi^2_df. Without
seeds this is the bootstrap max-|t| (Westfall and Young 1993), without test noise Dunnett's (1955)
many-to-one t, with both the Behrens-Fisher mixture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from longtail.comparison.layout import Layout, lay_out
from longtail.comparison.resampling import METRICS, metric_values, resampled_differences
from longtail.metrics.inputs import checked_weights
from longtail.metrics.rates import Floats

__all__ = ["Difference", "Differences", "compare_to_reference"]


@dataclass(frozen=True)
class Difference:
    """One method's metric less the reference's; fractions.

    ``low`` to ``high`` holds for all methods at once, ``p`` is adjusted for that too; ``seed_sd`` is the
    standard deviation of the per-seed differences (None for a single seed), ``seeds`` those that were paired.
    """

    method: str
    difference: float
    low: float
    high: float
    se: float
    p: float
    seed_sd: float | None
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Differences:
    """All methods against one reference. Iterates over its rows, in the order the methods were given.

    ``df``: degrees of freedom of the seed variance, 0 where it could not be estimated. ``seed_variance``:
    the pooled sigma^2 of one method's one seed. ``critical_value``: c above, None where no method differs.
    """

    reference: str
    metric: str
    level: float
    rows: tuple[Difference, ...]
    df: int
    seed_variance: float
    critical_value: float | None
    num_examples: int
    draws: int
    notes: tuple[str, ...]

    def __iter__(self) -> Iterator[Difference]:
        return iter(self.rows)

    def __getitem__(self, method: str) -> Difference:
        return {row.method: row for row in self.rows}[method]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and lists for comparison.json."""
        return asdict(self)


def compare_to_reference(
    predictions: Mapping[str, Any],
    targets: Any,
    reference: str,
    metric: str = "balanced_accuracy",
    *,
    num_classes: int,
    draws: int = 4000,
    level: float = 0.95,
    sample_weight: Any = None,
) -> Differences:
    """Compare every method with ``reference`` on one test set.

    Args:
        predictions: per method the predicted classes, (S, N) for seeds 0..S-1, or {seed: (N,)} where methods
            finished different seeds; they are paired by seed.
        targets: (N,) class indices in [0, num_classes).
        reference: the key of the method that the others are compared with.
        metric: "balanced_accuracy", "accuracy" or "macro_f1".
        num_classes: C. draws: resamples of the test set. level: of all intervals together.
        sample_weight: (N,) >= 0; a row of weight k counts as k rows in the metric. It stays one example that was
            drawn by chance, so that its copies do not make an interval narrower.

    Returns:
        Differences; the same numbers for the same input, in whatever order the methods stand.

    Raises:
        ValueError, TypeError: an unknown reference or metric, nothing to compare, a method that shares no
            seed with the reference, shapes or labels that do not fit.
    """
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}; use balanced_accuracy")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie in (0, 1), got {level}; use level=0.95")
    if draws < 200:
        raise ValueError(f"draws must be >= 200 to find a quantile, got {draws}; use draws=4000")
    table = lay_out(predictions, targets, reference, num_classes)
    weight = None if sample_weight is None else checked_weights(sample_weight, len(table.targets))
    table, weight = table.weighing(weight)
    values = metric_values(table.predictions, table.targets, metric, num_classes, weight)
    variance, df = table.seed_variance(values)
    generator = np.random.default_rng(0)
    test = resampled_differences(
        table.predictions, table.targets, table.pairing, metric, num_classes, draws, generator, weight
    )
    errors = generator.standard_normal((draws, len(values))) * table.varies * np.sqrt(variance)
    seed = errors @ table.pairing.T
    se = np.sqrt(test.var(axis=0, ddof=1) + variance * (table.pairing**2 @ table.varies))
    se[table.same] = 0.0
    if df:
        seed *= np.sqrt(df / generator.chisquare(df, draws))[:, None]
    return _intervals(table, values, test + seed, se, (variance, df), metric, level, tuple(predictions))


def _intervals(
    table: Layout,
    values: Floats,
    noise: Floats,
    se: Floats,
    seeds: tuple[float, int],
    metric: str,
    level: float,
    order: tuple[str, ...],
) -> Differences:
    draws, moving = len(noise), se > 1e-12  # not moving: scores every example as the reference does
    critical, largest = 0.0, np.full(draws, np.inf)
    if moving.any():
        largest = (np.abs(noise[:, moving]) / se[moving]).max(axis=1)
        rank = min(int(np.ceil(level * (draws + 1))), draws)
        critical = float(np.partition(largest, rank - 1)[rank - 1])
    se = np.where(moving, se, 0.0)
    mean = np.where(moving, table.pairing @ values, 0.0)
    size = np.abs(np.divide(mean, se, out=np.zeros_like(mean), where=moving))
    rows = {}
    for k, method in enumerate(table.methods):
        paired = table.paired_values(values, method)
        rows[method] = Difference(
            method=method,
            difference=float(mean[k]),
            low=float(mean[k] - critical * se[k]),
            high=float(mean[k] + critical * se[k]),
            se=float(se[k]),
            p=float((1 + np.sum(largest >= size[k])) / (1 + draws)),
            seed_sd=float(paired.std(ddof=1)) if len(paired) > 1 else None,
            seeds=table.paired_seeds[method],
        )
    return Differences(
        reference=table.reference,
        metric=metric,
        level=level,
        rows=tuple(rows[method] for method in order if method != table.reference),
        df=seeds[1],
        seed_variance=seeds[0],
        critical_value=critical if moving.any() else None,
        num_examples=len(table.targets),
        draws=draws,
        notes=table.notes(values, *seeds),
    )
