"""Every metric of every row: its mean and spread over seeds, and how far it would move on other test rows.

A run is judged once, when its row is made, and its probabilities are not kept: what remains is its influences under the
chosen metric, by which rows are compared, and two numbers for every other metric.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.comparison.evidence.influences import Judged
from longtail.comparison.evidence.measure import Measure
from longtail.comparison.evidence.row_intervals import Seeds, over_seeds, row_intervals
from longtail.comparison.question import Question
from longtail.comparison.seed_statistics import mean, numbers, std
from longtail.metrics.rows import Rows
from longtail.runs.scored import ScoredRun

OF_CLASSES = ("average_precision", "roc_auc", "precision", "f1")
"""What `per_class` of a row has, each with its ends."""


@dataclass
class Judgements:
    """What was judged of all rows: the runs by folder, and the statistics of each metric by method."""

    question: Question
    runs: dict[str, Judged | NDArray[np.int64]] = field(default_factory=dict)
    seeds: dict[str, dict[str, Seeds]] = field(default_factory=dict)

    def add(self, spec: str, runs: Sequence[ScoredRun]) -> None:
        """Judge the runs of a row, whose decisions are those that were asked for."""
        chosen = self.question.measure
        rows = [chosen.rows(self.question.rows(run)) for run in runs]
        self.seeds[spec] = {}
        for name, measure in self.question.measures().items():
            judged = _judged(measure, rows)
            if judged is not None:
                self.seeds[spec][name] = over_seeds(judged)
            if name == chosen.name and not chosen.exact:
                # judged again where it is undefined, which is refused here
                found = [chosen.judged(one) for one in rows] if judged is None else judged
                self.runs |= {str(run.folder): one for run, one in zip(runs, found, strict=True)}
        if chosen.exact:
            self.runs |= {str(run.folder): run.test.decided for run in runs}

    def metrics(self) -> dict[str, dict[str, dict[str, float | None]]]:
        """Return the entry `metrics` of every row: name -> mean, std, low, high."""
        entries: dict[str, dict[str, dict[str, float | None]]] = {spec: {} for spec in self.seeds}
        for name, measure in self.question.measures().items():
            specs = [spec for spec, found in self.seeds.items() if name in found]
            ends = row_intervals([self.seeds[spec][name] for spec in specs], measure.ends)
            for spec, (low, high) in zip(specs, ends, strict=True):
                values = self.seeds[spec][name].values
                entries[spec][name] = {"mean": mean(values), "std": std(values), "low": low, "high": high}
        return entries


def _judged(measure: Measure, rows: Sequence[Rows]) -> list[Judged] | None:
    """Return the runs under a metric; None where it is undefined in one of them."""
    if any(not np.isfinite(measure.value(one)) for one in rows):
        return None
    return [measure.judged(one) for one in rows]


def per_class(scores: Sequence[Mapping[str, Any]]) -> dict[str, list[float | None]]:
    """Return the entry `per_class` of a row: of every class the mean over its runs, of a number and of its ends.

    As for the recall of a class, the ends are about the choice of test rows: runs that were tested on the same ones
    err together, so that their mean has the mean of their ends.

    Args:
        scores: of `metrics.evaluate`, one for each run.
    """
    classes = [one["per_class"] for one in scores]
    names = [name for key in OF_CLASSES for name in (key, f"{key}_low", f"{key}_high") if name in classes[0]]
    return {
        name: [mean(numbers(list(column))) for column in zip(*(c[name] for c in classes), strict=True)]
        for name in names
    }
