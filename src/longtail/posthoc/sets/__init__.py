"""Sets of classes that contain the true one with a promised share, class by class: conformal prediction."""

from __future__ import annotations

from longtail.facts.set_promises import Promise
from longtail.posthoc.sets.cross import CrossConformalSets
from longtail.posthoc.sets.split import ConformalSets

__all__ = ["ConformalSets", "CrossConformalSets", "Promise"]
