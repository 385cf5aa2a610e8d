"""Data in: examples in memory or read row by row, their splits, and the readers that make them."""

from longtail.data.examples import Examples
from longtail.data.load import load
from longtail.data.mapped import MappedExamples
from longtail.data.splits import Part, Splits, held_out

__all__ = ["Examples", "MappedExamples", "Part", "Splits", "held_out", "load"]
