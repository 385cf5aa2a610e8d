"""Data in: examples held in memory, their splits, and the readers that make them."""

from longtail.data.examples import Examples
from longtail.data.load import load
from longtail.data.splits import Splits, held_out

__all__ = ["Examples", "Splits", "held_out", "load"]
