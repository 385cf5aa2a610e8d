"""Metrics that do not hide rare classes: recall per class and group, calibration, intervals.

NumPy in float64 throughout; arrays, lists and tensors are accepted, torch is not imported.
"""

from longtail.facts.groups import Groups, groups
from longtail.metrics.calibration import classwise_ece, ece
from longtail.metrics.evaluation import Tally, evaluate
from longtail.metrics.intervals import wilson
from longtail.metrics.operating_points import precision_recall_curve
from longtail.metrics.registry import METRICS, Metric, metric
from longtail.metrics.rows import Rows

__all__ = [
    "METRICS",
    "Groups",
    "Metric",
    "Rows",
    "Tally",
    "classwise_ece",
    "ece",
    "evaluate",
    "groups",
    "metric",
    "precision_recall_curve",
    "wilson",
]
