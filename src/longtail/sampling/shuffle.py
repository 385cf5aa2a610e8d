"""Every row once per epoch: always, or until another sampler takes over."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
from typing import Annotated, Any, final

import torch
from torch import Tensor

from longtail.facts.counts import encode
from longtail.facts.knobs import Range
from longtail.sampling.classes import ClassSampler
from longtail.sampling.rows import RowSampler


@final
class Shuffle(RowSampler):
    """Every row once, in random order: instance-balanced sampling, without replacement.

    Args:
        labels: the labels, or just their number N.
        seed, rank, world_size: see `RowSampler`.
    """

    def __init__(self, labels: Any, *, seed: int = 0, rank: int = 0, world_size: int = 1) -> None:
        self.num_rows = int(labels) if isinstance(labels, Integral) else len(encode(labels)[0])
        super().__init__(self.num_rows, seed=seed, rank=rank, world_size=world_size)

    def chunks(self, progress: float | None, generator: torch.Generator) -> Iterator[Tensor]:
        """One permutation."""
        yield torch.randperm(self.num_samples, generator=generator)


@final
class Deferred(RowSampler):
    """Every row once until progress reaches `at`, another sampler's draw from then on (DRS).

    Cao et al. 2019, section 3.3 and appendix: plain sampling until the last drop of the learning rate, then
    class-balanced. It takes seed, rank and world size from `after`.

    Args:
        after: the sampler from p >= at on; its epochs have as many rows as the data.
        at: share of the stage, in [0, 1].
    """

    def __init__(self, after: ClassSampler, at: Annotated[float, Range(0, 1)] = 0.8) -> None:
        Range(0, 1).check("at", at)
        if after.num_samples != after.num_rows:
            raise ValueError(
                f"after must draw as many rows as the data have, {after.num_rows}, got {after.num_samples}; "
                "leave num_samples out"
            )
        super().__init__(after.num_samples, seed=after.seed, rank=after.rank, world_size=after.world_size)
        self.after, self.at, self.num_rows = after, at, after.num_rows

    def chunks(self, progress: float | None, generator: torch.Generator) -> Iterator[Tensor]:
        """The permutation before `at`, the draws of `after` from then on."""
        if progress is None:
            raise TypeError(
                "Deferred needs progress; call set_epoch(epoch, progress=epoch / epochs), or set sampler.epochs once"
            )
        if progress >= self.at:
            yield from self.after.chunks(progress, generator)
        else:
            yield torch.randperm(self.num_samples, generator=generator)
