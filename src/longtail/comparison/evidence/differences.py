"""Paired differences to a reference method and to twins, with simultaneous confidence intervals over all of them.

Each method m is scored in seeds s on one test set: a[m, s]. Its difference to the reference r is the mean
over the seeds that both have, D_m = mean_s (a[m, s] - a[r, s]). Two things make it vary:

    test examples    the paired bootstrap of ``resampling``, correlations between methods included;
    seeds            a[m, s] = mu_m + b_s + e[m, s], e of one variance sigma^2 for all methods, estimated by
                     the residuals of this two-way table, (M-1)(S-1) degrees of freedom: three seeds of one
                     method alone are too few. D_m gets 2 sigma^2 / S, and two differences have
                     correlation 1/2 in it, because they share the reference.

se_m^2 is their sum. Which examples a seed happens to get right counts in both, so intervals err on the wide
side. They are D_m -+ c se_m, where c is the ``level`` quantile of max_m |noise_m| / se_m, and noise is a
draw of the test part plus one of the seed part, whose sigma^2 is drawn too, sigma^2 df / chi^2_df. Without
seeds this is the bootstrap max-|t| (Westfall and Young 1993), without test noise Dunnett's (1955)
many-to-one t, with both the Behrens-Fisher mixture.

A twin t of m is the plain method of m's model (trees for trees-cw); D_mt = mean_s (a[m, s] - a[t, s]) is one more
difference of the same kind, with the same draws, and the maximum is over these too.

A method whose own seed variance contradicts the others' is outside the pool (``seed_variance``): sigma^2 is estimated
without it, and the seed part of its differences is a Student t of their own per-seed values. Of few seeds that has
heavy tails, which would widen all intervals; so the error is split instead (Bonferroni). With K differences between
methods that differ at all and w of them with a method outside, each of those errs with probability (1 - level) / K by
itself, and c is that of the others at 1 - (1 - level) (K - w) / K.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from longtail.comparison.evidence.influences import resampled
from longtail.comparison.evidence.layout import Layout, lay_out
from longtail.comparison.evidence.measure import Measure, judged, measure_of
from longtail.comparison.evidence.resampling import metric_values, resampled_differences
from longtail.comparison.evidence.seed_variance import outside_the_pool, spread_notes
from longtail.comparison.evidence.simultaneous import Intervals, simultaneous
from longtail.metrics.inputs import checked_weights
from longtail.metrics.rates import Floats

__all__ = ["Difference", "Differences", "compare_to_reference"]


@dataclass(frozen=True)
class Difference:
    """One method's metric less that of ``reference``, which may be its twin; fractions of a metric that is one.

    ``low`` to ``high`` is the simultaneous interval, ``p`` is adjusted for it too; ``seed_sd`` is the
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
    reference: str = ""


@dataclass(frozen=True)
class Differences:
    """The differences of all methods to one reference. Iterates over its rows, in the order the methods were given.

    ``df``: degrees of freedom of the seed variance, 0 where it could not be estimated. ``seed_variance``:
    the pooled sigma^2 of one method's one seed. ``critical_value``: c above, None where no method differs.
    ``outside``: the methods outside the pool, whose intervals use their own seeds alone, sorted.
    ``twins``: the differences to twins other than the reference, in the same order. ``label``: of the metric, where it
    says more than the registry's; ``sign``: 1 where a larger metric is better, -1 where a smaller one is.
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
    outside: tuple[str, ...] = ()
    twins: tuple[Difference, ...] = ()
    label: str = ""
    sign: float = 1.0

    def __iter__(self) -> Iterator[Difference]:
        return iter(self.rows)

    def __getitem__(self, method: str) -> Difference:
        return {row.method: row for row in self.rows}[method]

    def parts(self, method: str) -> tuple[Difference, ...]:
        """Return the differences that lead from the reference to a method by its twins; one where it has no twin.

        As in trees over ce, trees-cw over trees.
        """
        above = {row.method: row for row in self.twins}
        steps: list[Difference] = []
        while (step := above.pop(method, None)) is not None:
            steps.insert(0, step)
            method = step.reference
        return (self[method], *steps)

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, strings and lists for comparison.json."""
        return asdict(self)


def compare_to_reference(
    predictions: Mapping[str, Any],
    targets: Any,
    reference: str,
    metric: str | Measure = "balanced_accuracy",
    *,
    num_classes: int,
    draws: int = 4000,
    level: float = 0.95,
    sample_weight: Any = None,
    twins: Mapping[str, str] | None = None,
) -> Differences:
    """Compare every method with ``reference`` on one test set, and those with a twin with that one too.

    Args:
        predictions: per method the predicted classes, (S, N) for seeds 0..S-1, or {seed: (N,)} where methods
            finished different seeds; they are paired by seed. For metrics that read probabilities, `metrics.Rows` or
            `Judged` in place of the classes.
        targets: (N,) class indices in [0, num_classes).
        reference: the key of the method that the others are compared with.
        metric: any of `metrics.registry`, or a `Measure` where it needs a positive class or costs.
        num_classes: C. draws: resamples of the test set. level: of all intervals together.
        sample_weight: (N,) >= 0; a row of weight k counts as k rows in the metric. It is resampled as one
            example, so that its copies do not make an interval narrower.
        twins: method -> the plain method of the same model, another key of ``predictions``.

    Returns:
        Differences; the same numbers for any order of the methods.

    Raises:
        ValueError, TypeError: an unknown reference or metric, nothing to compare, a method that shares no
            seed with the reference or its twin, shapes or labels that do not fit.
    """
    measure = measure_of(metric, num_classes) if isinstance(metric, str) else metric
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie in (0, 1), got {level}; use level=0.95")
    if draws < 200:
        raise ValueError(f"draws must be >= 200 to find a quantile, got {draws}; use draws=4000")
    table = lay_out(judged(predictions, targets, measure, sample_weight), targets, reference, num_classes, twins)
    weight = None if sample_weight is None else checked_weights(sample_weight, len(table.targets))
    generator = np.random.default_rng(0)
    if table.judged:
        values, test = table.values, _resampled(table, draws, generator)
    else:
        table, weight = table.without_zero_weights(weight)
        values = metric_values(table.predictions, table.targets, measure.name, num_classes, weight)
        test = resampled_differences(
            table.predictions, table.targets, table.pairing, measure.name, num_classes, draws, generator, weight
        )
    outside = outside_the_pool(table, values)
    variance, df = table.seed_variance(values, without=outside)
    errors = generator.standard_normal((draws, len(values))) * table.varies * np.sqrt(variance)
    seed = errors @ table.pairing.T
    se = np.sqrt(test.var(axis=0, ddof=1) + variance * (table.pairing**2 @ table.varies))
    se[table.same] = 0.0
    if df:
        seed *= np.sqrt(df / generator.chisquare(df, draws))[:, None]
    spread = spread_notes(table, values, variance, outside, measure.metric.fraction) if df else ()
    intervals = simultaneous(table, values, test, seed, se, level, outside, measure.span)
    rows = {pair: _row(table, values, intervals, k, measure.span) for k, pair in enumerate(table.pairs)}
    return Differences(
        reference=reference,
        metric=measure.name,
        level=level,
        rows=tuple(rows[method, reference] for method in predictions if method != reference),
        df=df,
        seed_variance=variance,
        critical_value=intervals.critical,
        num_examples=table.num_examples,
        draws=draws,
        notes=(*table.notes(df), *spread),
        outside=outside,
        twins=tuple(rows[m, t] for m in predictions if (t := (twins or {}).get(m, reference)) != reference != m),
        label=measure.label,
        sign=measure.sign,
    )


def _resampled(table: Layout, draws: int, generator: np.random.Generator) -> Floats:
    influence = table.pairing @ np.stack([run.influence for run in table.judged])
    parts = table.pairing @ np.stack([run.parts for run in table.judged])
    return resampled(influence, parts, table.judged[0].strata, draws, generator)


def _row(table: Layout, values: Floats, intervals: Intervals, k: int, span: float) -> Difference:
    pair = table.pairs[k]
    paired = table.paired_values(values, pair)
    return Difference(
        method=pair[0],
        reference=pair[1],
        difference=float(intervals.mean[k]),
        low=max(float(intervals.mean[k] - intervals.half[k]), -span),  # two runs differ by no more
        high=min(float(intervals.mean[k] + intervals.half[k]), span),
        se=float(intervals.se[k]),
        p=float(intervals.p[k]),
        seed_sd=float(paired.std(ddof=1)) if len(paired) > 1 else None,
        seeds=table.paired_seeds[pair],
    )
