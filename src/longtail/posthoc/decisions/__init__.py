"""Decisions: from probabilities to one class, by what mistakes cost, by the metric that counts, or by thresholds."""

from __future__ import annotations

from longtail.posthoc.decisions.costs import read_cost
from longtail.posthoc.decisions.decision import Decision
from longtail.posthoc.decisions.objectives import Objective, objective

__all__ = ["Decision", "Objective", "objective", "read_cost"]
