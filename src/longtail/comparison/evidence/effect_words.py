"""Differences in words: which way is better, points of fractions, and other numbers as they are."""

from __future__ import annotations

from longtail.comparison.evidence.differences import Difference, Differences
from longtail.facts.digits import alike
from longtail.metrics.registry import metric

Ends = tuple[float, float, float]
"""A difference and the ends of its interval."""


def gain(differences: Differences, row: Difference) -> Ends:
    """Return how much better a method is, > 0 where it is better, whichever way the metric goes."""
    if differences.sign > 0:
        return row.difference, row.low, row.high
    return -row.difference, -row.high, -row.low


def shown_better(differences: Differences, row: Difference) -> bool:
    """Whether the interval says that the method is better."""
    return gain(differences, row)[1] > 0


def shown_worse(differences: Differences, row: Difference) -> bool:
    """Whether the interval says that the method is worse."""
    return gain(differences, row)[2] < 0


def effect(differences: Differences, row: Difference) -> str:
    """As in "3.1 points of balanced accuracy (simultaneous 95 % interval 0.4 to 5.8)" and "0.12 lower log loss (...)".

    A difference for the worse of a metric where lower is better is "0.12 higher".
    """
    found = metric(differences.metric)
    label = differences.label or found.label
    ends, way = gain(differences, row), " of" if found.fraction else " higher"
    if differences.sign < 0:
        better = ends[0] >= 0
        ends, way = (ends if better else (row.difference, row.low, row.high)), " lower" if better else " higher"
    said = [_points(end) for end in ends] if found.fraction else alike(ends)
    unit = " points" if found.fraction else ""
    return f"{said[0]}{unit}{way} {label} (simultaneous {100 * differences.level:g} % interval {said[1]} to {said[2]})"


def signed(differences: Differences, row: Difference) -> str:
    """The metric less that of the other method, whichever way is better, as in "+3.1 [+0.4, +5.8]"."""
    ends = (row.difference, row.low, row.high)
    if metric(differences.metric).fraction:
        mean, low, high = (f"{100 * end + 0.0:+.1f}" for end in ends)
    else:
        mean, low, high = alike(ends, "+")
    return f"{mean} [{low}, {high}]"


def _points(fraction: float) -> str:
    """Format points with one decimal, or as many as show that a small number is not zero."""
    points = 100 * fraction
    digits = next((digits for digits in (1, 2, 3) if abs(points) >= 0.5 * 10**-digits), 1)
    return f"{round(points, digits) + 0.0:.{digits}f}"
