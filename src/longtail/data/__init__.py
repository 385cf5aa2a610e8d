"""Read data: examples in memory or read row by row, pools of rows, their splits, and readers of files."""

from longtail.data.load import load
from longtail.data.mapped import MappedExamples
from longtail.data.pool import Pool
from longtail.data.read.dispatch import pool
from longtail.data.rows import Examples
from longtail.data.simulate.noisy_labels import noisy, transition_matrix
from longtail.data.split.holdout import split
from longtail.data.splits import Part, Splits, held_out
from longtail.data.together import Together, together
from longtail.data.training_set import TrainingSet

__all__ = [
    "Examples",
    "MappedExamples",
    "Part",
    "Pool",
    "Splits",
    "Together",
    "TrainingSet",
    "held_out",
    "load",
    "noisy",
    "pool",
    "split",
    "together",
    "transition_matrix",
]
