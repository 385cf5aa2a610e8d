"""Which rows an epoch visits: class-balanced, square-root, power and effective-number draws, and shuffling.

Every sampler follows two protocols. For the engine it is a `longtail.types.Draw`: `draw(progress, generator)`
returns all rows of an epoch. For a `torch.utils.data.DataLoader` it is a `Sampler`: it iterates over this rank's
share of the same draw, with `set_epoch`, `state_dict` and `load_state_dict` for a resume in mid-epoch.
"""

from __future__ import annotations

from longtail.sampling.classes import (
    ClassBalancedSampler,
    ClassSampler,
    EffectiveNumberSampler,
    PowerSampler,
    ProgressiveSampler,
    SquareRootSampler,
)
from longtail.sampling.every_batch import EveryBatch
from longtail.sampling.meta_rows import meta_rows
from longtail.sampling.rows import RowSampler
from longtail.sampling.shuffle import Deferred, Shuffle
from longtail.sampling.without_replacement import ClassAwareSampler, UnderSampler

__all__ = [
    "ClassAwareSampler",
    "ClassBalancedSampler",
    "ClassSampler",
    "Deferred",
    "EffectiveNumberSampler",
    "EveryBatch",
    "PowerSampler",
    "ProgressiveSampler",
    "RowSampler",
    "Shuffle",
    "SquareRootSampler",
    "UnderSampler",
    "meta_rows",
]
