"""Every metric by name: its value on rows and the influence of each row on it.

`metric("macro_f1")`, `metric("precision@recall=0.9")`. All are defined with weights: a row of weight k counts as k.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from longtail.metrics import calibration, operating_points, rate_slopes, rates
from longtail.metrics.correlation import matthews
from longtail.metrics.cost import costs
from longtail.metrics.proper import brier_losses, log_losses
from longtail.metrics.ranking import Ranking, ranked
from longtail.metrics.rates import Floats
from longtail.metrics.rows import Rows

__all__ = ["METRICS", "POINTS", "Metric", "metric"]


@dataclass(frozen=True)
class Metric:
    """A metric: `value(rows)`, and `influence(rows)`, how it moves with the weight of each row.

    Args:
        name: as in METRICS. label: for tables. higher_is_better: which way is better.
        fraction: it is in [0, 1] ([-1, 1] for mcc), shown in percent points.
        reads: what it judges, the decisions or the probabilities.
        needs: "positive" or "cost" of the rows, or nothing.
        by_class: class sizes say nothing about what it measures, so that an interval draws each class within itself;
            otherwise the class mix is drawn, too.
    """

    name: str
    label: str
    higher_is_better: bool
    fraction: bool
    reads: Literal["decisions", "probabilities"]
    of: Callable[[Rows], float]
    slope: Callable[[Rows], Floats]
    needs: Literal["", "positive", "cost"] = ""
    by_class: bool = False

    def value(self, rows: Rows) -> float:
        """Return the metric, NaN where it is undefined.

        Raises:
            ValueError: `needs` is not given.
        """
        return float(self.of(rows))

    def influence(self, rows: Rows) -> Floats:
        """Return the influence of each row, (N,): w_i dV/dw_i, V the value and w_i the row's own weight.

        With every row counted u_i w_i times (u_i a resampling weight, mean 1),

            V(u) = V(1) + sum_i (u_i - 1) influence_i + terms of second order

        a plain sum, whatever the strata of the resampling; so N x influence is what a mean over rows takes, and in a
        stratum of n rows n x influence varies like the values whose mean it is. A row of weight k has the influence of
        k copies together (each has 1/k of it). They sum to 0: a metric knows no unit of weight. Infinitesimal
        jackknife: the variance with N independent rows of weight 1 is sum_i influence_i^2. Where the value jumps (the
        worst class at a tie; a geometric mean of 0) that first order says nothing. For a threshold at a recall or a
        precision, see `operating_points.slopes`.
        """
        return np.asarray(self.slope(rows) * rows.weights)


def _counted(formula: Callable[[Floats, Floats, Floats], Floats | float]) -> Callable[[Rows], float]:
    return lambda rows: float(formula(rows.counts.hits, rows.counts.support, rows.counts.predicted))


def _decided(
    name: str, label: str, formula: Callable[[Floats, Floats, Floats], Floats | float], by_class: bool
) -> Metric:
    gradient = rate_slopes.SLOPES[name]
    return Metric(
        name, label, True, True, "decisions", _counted(formula),
        lambda rows: rate_slopes.of_rows(gradient(rows.counts), rows.targets, rows.decided), by_class=by_class,
    )  # fmt: skip


def _mean(
    name: str, label: str, each: Callable[[Rows], Floats], reads: Literal["decisions", "probabilities"]
) -> Metric:
    """The mean of a loss per row."""

    def slope(rows: Rows) -> Floats:
        losses = each(rows)
        return np.asarray((losses - rows.weights @ losses / rows.total) / rows.total)

    return Metric(
        name, label, False, False, reads, lambda rows: float(rows.weights @ each(rows)) / rows.total, slope,
        needs="cost" if name == "cost" else "",
    )  # fmt: skip


def _area(name: str, label: str) -> Metric:
    return Metric(
        name, label, True, True, "probabilities",
        lambda rows: getattr(rows.areas, f"mean_{name}"), lambda rows: getattr(rows.areas, f"{name}_slope"),
        by_class=True,
    )  # fmt: skip


def _positive_ranking(rows: Rows) -> Ranking:
    chosen = rows.the_positive()
    return ranked(rows.probs[:, chosen], rows.targets == chosen, rows.weights)


def _positive_area(name: str, label: str) -> Metric:
    return Metric(
        f"positive_{name}", label, True, True, "probabilities",
        lambda rows: getattr(_positive_ranking(rows), name),
        lambda rows: getattr(_positive_ranking(rows), f"{name}_slope"),
        needs="positive", by_class=True,
    )  # fmt: skip


def _positive_rate(
    name: str,
    label: str,
    formula: Callable[[Floats, Floats, Floats], Floats],
    gradient: Callable[..., rate_slopes.Slopes],
) -> Metric:
    def of(rows: Rows) -> float:
        n, chosen = rows.counts, slice(rows.the_positive(), rows.the_positive() + 1)
        return float(formula(n.hits[chosen], n.support[chosen], n.predicted[chosen])[0])

    def slope(rows: Rows) -> Floats:
        chosen = np.arange(rows.num_classes) == rows.the_positive()
        hits, support, predicted = (part * chosen for part in gradient(rows.counts))
        return rate_slopes.of_rows((hits, support, predicted), rows.targets, rows.decided)

    return Metric(
        f"positive_{name}", label, True, True, "decisions", of, slope,
        needs="positive", by_class=True,
    )  # fmt: skip


def _at_point(kind: str, level: float) -> Metric:
    named = {"precision@recall": "precision at recall", "recall@precision": "recall at precision"}[kind]
    found = operating_points.precision_at_recall if kind == "precision@recall" else operating_points.recall_at_precision

    def points(rows: Rows) -> operating_points.Curve | None:
        chosen = rows.the_positive()
        return operating_points.curve(rows.probs[:, chosen], rows.targets == chosen, rows.weights)

    def of(rows: Rows) -> float:
        curve = points(rows)
        return np.nan if curve is None else found(curve, level)[0]

    def slope(rows: Rows) -> Floats:
        curve = points(rows)
        if curve is None:
            return np.zeros(len(rows.targets))
        chosen = rows.the_positive()
        return operating_points.slopes(rows.probs[:, chosen], rows.targets == chosen, curve, kind, level)

    return Metric(
        f"{kind}={level:g}",
        f"{named} {level:g}",
        True,
        True,
        "probabilities",
        of,
        slope,
        needs="positive",
        by_class=True,
    )


def _ece(name: str, label: str, of: Callable[[Rows], float], slope: Callable[[Rows], Floats]) -> Metric:
    return Metric(name, label, False, True, "probabilities", of, slope)


_ALL = (
    _decided("accuracy", "accuracy", lambda h, s, p: h.sum() / s.sum(), by_class=False),
    _decided("balanced_accuracy", "balanced accuracy", lambda h, s, p: rates.balanced_accuracy(h, s), by_class=True),
    _decided("macro_f1", "macro F1", rates.macro_f1, by_class=True),
    _decided("weighted_f1", "weighted F1", rates.weighted_f1, by_class=False),
    _decided("g_mean", "G-mean", lambda h, s, p: rates.g_mean(h, s), by_class=True),
    _decided("mcc", "Matthews correlation", matthews, by_class=False),
    _decided("precision", "macro precision", rates.macro_precision, by_class=True),
    _decided("worst_class", "worst class", lambda h, s, p: np.nanmin(rates.ratio(h, s)), by_class=True),
    _area("average_precision", "average precision"),
    _area("roc_auc", "ROC AUC"),
    _mean("log_loss", "log loss", lambda rows: log_losses(rows.probs, rows.targets), "probabilities"),
    _mean("brier", "Brier score", lambda rows: brier_losses(rows.probs, rows.targets), "probabilities"),
    _ece("ece", "ECE", calibration.rows_ece, calibration.rows_ece_slope),
    _ece("classwise_ece", "classwise ECE", calibration.rows_classwise_ece, calibration.rows_classwise_ece_slope),
    _mean("cost", "cost per row", costs, "decisions"),
    _positive_area("average_precision", "average precision of the class"),
    _positive_area("roc_auc", "ROC AUC of the class"),
    _positive_rate("recall", "recall of the class", lambda h, s, p: rates.ratio(h, s), rate_slopes.recall),
    _positive_rate("precision", "precision of the class", lambda h, s, p: rates.ratio(h, p), rate_slopes.precision),
    _positive_rate("f1", "F1 of the class", rates.f1, rate_slopes.f1_of_each),
)

METRICS: dict[str, Metric] = {one.name: one for one in _ALL}
"""The metrics without a level of their own; `metric` also reads those of POINTS."""

POINTS = ("precision@recall", "recall@precision")
"""Metrics with a level in (0, 1]: "precision@recall=0.9"."""


def metric(name: str) -> Metric:
    """Return the metric of this name; `precision@recall=R` and `recall@precision=P` with a level in (0, 1], too.

    Raises:
        ValueError: no metric has this name, or the level is no number in (0, 1].
    """
    if name in METRICS:
        return METRICS[name]
    kind, _, level = name.partition("=")
    if kind in POINTS:
        try:
            number = float(level)
        except ValueError:
            number = np.nan
        if not 0.0 < number <= 1.0:
            raise ValueError(f"metric {kind} must have a level in (0, 1], got {name!r}; write {kind}=0.9")
        return _at_point(kind, number)
    known = [*METRICS, *(f"{kind}=0.9" for kind in POINTS)]
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    way = f"did you mean {' or '.join(close)}" if close else f"choose one of {', '.join(known)}"
    raise ValueError(f"metric must be a metric that longtail has, got {name!r}; {way}")
