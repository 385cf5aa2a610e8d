"""The metric that a comparison judges by: which way is better, what its numbers are called, and how runs are judged.

Balanced accuracy, accuracy and macro F1 are read from decisions, and `resampling` evaluates them on every resample
(``EXACT``). Any other metric of `metrics.registry` judges a run once: its value and the influence of every row
(`influences`).

Strata. A metric of one class, or a mean over classes, is drawn class by class (`Metric.by_class`). Any other depends on
the class mix, which is random in a random test set: there the whole set is one stratum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.comparison.evidence.influences import Judged
from longtail.metrics.inputs import checked_labels, checked_weights
from longtail.metrics.rates import Floats, f1, ratio
from longtail.metrics.registry import Metric, metric
from longtail.metrics.rows import Rows

Labels = NDArray[np.int64]

EXACT = ("balanced_accuracy", "accuracy", "macro_f1")
_LARGEST = {"log_loss": -math.log(np.finfo(np.float64).eps), "brier": 2.0}
"""The largest value of metrics that are no fractions."""
_OF_CLASSES: dict[str, Callable[[Rows], Floats]] = {
    "balanced_accuracy": lambda rows: ratio(rows.counts.hits, rows.counts.support),
    "macro_f1": lambda rows: f1(rows.counts.hits, rows.counts.support, rows.counts.predicted),
    "precision": lambda rows: ratio(rows.counts.hits, rows.counts.predicted),
    "average_precision": lambda rows: rows.areas.average_precision,
    "roc_auc": lambda rows: rows.areas.roc_auc,
}
"""The numbers (C,) that a mean over classes is the mean of."""


@dataclass(frozen=True)
class Measure:
    """A metric with what it needs beside the rows.

    ``positive``: the class that a metric of one class means, ``positive_name`` its name. ``cost``: (C, C), row: true
    class, column: decided class.
    """

    metric: Metric
    num_classes: int
    positive: int | None = None
    positive_name: str = ""
    cost: Floats | None = None

    @property
    def name(self) -> str:
        """The metric's name, as in ``--metric``."""
        return self.metric.name

    @property
    def exact(self) -> bool:
        """Whether it is evaluated on every resample, from decisions alone."""
        return self.name in EXACT

    @property
    def of_one_class(self) -> bool:
        """Whether it means one class."""
        return self.metric.needs == "positive"

    @property
    def label(self) -> str:
        """What it is called in a sentence, as in "balanced accuracy" or "recall of 'fraud'"."""
        plain = self.metric.label.removesuffix(" of the class")
        return f"{plain} of '{self.positive_name}'" if self.of_one_class else plain

    @property
    def sign(self) -> float:
        """1 where higher is better, -1 where lower is."""
        return 1.0 if self.metric.higher_is_better else -1.0

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the largest value that any run can have."""
        if self.name == "cost":
            assert self.cost is not None
            return float(self.cost.min()), float(self.cost.max())
        return (-1.0 if self.name == "mcc" else 0.0), _LARGEST.get(self.name, 1.0)

    @property
    def span(self) -> float:
        """The largest difference of two runs."""
        low, high = self.ends
        return high - low

    def rows(self, rows: Rows) -> Rows:
        """Return rows with the class and the costs of this measure, without those of weight 0; themselves if they are.

        Rows remember what several metrics read, so that they are made anew only where they must be.
        """
        used = slice(None) if rows.weight is None or (rows.weight > 0).all() else rows.weight > 0
        if isinstance(used, slice) and rows.positive == self.positive and rows.cost is self.cost:
            return rows
        return Rows(
            probs=rows.probs[used],
            decided=rows.decided[used],
            targets=rows.targets[used],
            weight=None if rows.weight is None else rows.weight[used],
            positive=self.positive,
            cost=self.cost,
        )

    def value(self, rows: Rows) -> float:
        """Return the metric of a run, NaN where it is undefined.

        The precision of a class that has rows and is never decided for is 0, as in the mean over classes.
        """
        value = self.metric.value(rows)
        if math.isnan(value) and self.name == "positive_precision" and rows.counts.support[self.positive] > 0:
            return 0.0
        return value

    def judged(self, rows: Rows) -> Judged:
        """Judge a run on its test rows.

        Raises:
            ValueError: the metric is undefined on these rows.
        """
        rows = self.rows(rows)
        value = self.value(rows)
        if not np.isfinite(value):
            raise ValueError(f"metric {self.name} is undefined on these test rows, got {value}; choose another metric")
        influence = self.metric.influence(rows)
        if self.metric.by_class:
            present, strata = np.unique(rows.targets, return_inverse=True)
            parts, most = (every[present] for every in _parts(self, rows, value))
        else:
            strata, parts, most = np.zeros(len(rows.targets), dtype=np.int64), np.array([value]), np.ones(1)
        room = most - parts if self.metric.fraction else np.zeros_like(parts)
        said = rows.decided if self.metric.reads == "decisions" else influence
        return Judged(said, value, influence, parts, np.maximum(room, 0.0), strata)


def _parts(measure: Measure, rows: Rows, value: float) -> tuple[Floats, Floats]:
    """Return what each class (C,) contributes to the metric, and the most that it could."""
    size, known = rows.num_classes, rows.counts.support > 0
    parts, most = np.zeros((2, size))
    if measure.of_one_class:
        parts[measure.positive], most[measure.positive] = value, 1.0
        return parts, most
    if measure.name == "worst_class":
        worst = int(np.nanargmin(ratio(rows.counts.hits, rows.counts.support)))
        parts[worst], most[worst] = value, 1.0
        return parts, most
    most[known] = 1.0 / known.sum()
    each = _OF_CLASSES.get(measure.name)
    if each is None:  # the geometric mean moves by g / C times the relative change of any recall
        return value * most, most
    of_class = np.nan_to_num(each(rows))
    return np.where(known, of_class, 0.0) * most, most


def measure_of(
    name: str,
    num_classes: int,
    *,
    positive: int | None = None,
    positive_name: str = "",
    cost: Any = None,
) -> Measure:
    """Return the measure of that name.

    Raises:
        ValueError: no such metric, or one that means one class or costs which are not given.
    """
    found = metric(name)
    if found.needs == "positive" and positive is None:
        raise ValueError(f"metric {name} is of one class, got no class; name it with --positive (positive=)")
    if found.needs == "cost" and cost is None:
        raise ValueError(
            f'metric {name} needs what mistakes cost, got nothing; add --cost "missed=10,false=1" or a file (cost=)'
        )
    return Measure(found, num_classes, positive, positive_name, cost)


def judged(
    predictions: Mapping[str, Any], targets: Any, measure: Measure, sample_weight: Any = None
) -> Mapping[str, Any]:
    """Return what `lay_out` takes: classes for an exact metric, else every run judged.

    Args:
        predictions: method -> {seed: classes (N,), `Rows` or `Judged`}, or classes (S, N).
        targets, sample_weight: of the rows of those that are classes.

    Raises:
        ValueError: classes alone, for a metric that reads probabilities.
    """
    if measure.exact and not any(isinstance(one, Rows) for one in _all(predictions)):
        return predictions
    made: dict[str, dict[int, Any]] = {}
    for method, given in predictions.items():
        seeds = given.items() if isinstance(given, Mapping) else enumerate(given)
        made[method] = {seed: _judged(one, targets, measure, sample_weight) for seed, one in seeds}
    return made


def _all(predictions: Mapping[str, Any]) -> Iterator[Any]:
    for given in predictions.values():
        yield from given.values() if isinstance(given, Mapping) else ()


def _judged(one: Any, targets: Any, measure: Measure, sample_weight: Any) -> Any:
    if isinstance(one, Judged):
        return one
    if measure.exact:
        return one.decided if isinstance(one, Rows) else one
    if isinstance(one, Rows):
        return measure.judged(one)
    if measure.metric.reads != "decisions":
        raise ValueError(f"predictions must be probabilities for metric {measure.name}, got classes; pass metrics.Rows")
    truth = checked_labels(targets, len(targets), measure.num_classes)
    decided = checked_labels(one, len(truth), measure.num_classes, "predictions")
    weight = None if sample_weight is None else checked_weights(sample_weight, len(targets))
    return measure.judged(Rows(np.eye(measure.num_classes)[decided], decided, truth, weight))
