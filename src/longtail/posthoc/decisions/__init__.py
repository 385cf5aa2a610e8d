"""Decisions: from probabilities to one class, by what mistakes cost, by the metric that counts, or by thresholds."""

from __future__ import annotations

from longtail.posthoc.decisions.costs import read_cost

__all__ = ["read_cost"]
