"""The finished runs of one method in a comparison, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

from longtail.metrics.rates import Floats
from longtail.runs.scored import ScoredRun


@dataclass(frozen=True)
class RowRuns:
    """The runs of a row, one for each finished seed.

    Args:
        spec: of the method.
        runs: in the order of the seeds.
        classes: the C names.
        class_counts: (C,) those that group the classes.
        level: the coverage that sets of classes promise.
    """

    spec: str
    runs: tuple[ScoredRun, ...]
    classes: tuple[str, ...]
    class_counts: Floats
    level: float = 0.9
