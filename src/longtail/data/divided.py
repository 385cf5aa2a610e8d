"""Several sources, one after another in random order: each batch is of one of them, for the learner of that one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from longtail.data.generators import derived
from longtail.facts.types import Batch, Drawn, TrainingData


@dataclass(frozen=True)
class Divided:
    """The batches of K parts; an epoch is one pass over each, so that a part has steps in proportion to its rows.

    `batch["experts"]` is {k: the batch of part k}, whose `index` is into the rows of that part; the other entries of
    the batch are those of this one, too.

    Args:
        parts: K sources, each with a loader of its own.
        count: steps of an epoch, in place of one pass; None for that.
    """

    parts: tuple[TrainingData, ...]
    count: int | None = None

    @property
    def class_counts(self) -> Tensor:
        """(C,) of all rows."""
        return torch.stack([part.class_counts for part in self.parts]).sum(0)

    @property
    def eager(self) -> str:
        """The reason of the first part that has one."""
        return next(filter(None, (part.eager for part in self.parts)), "")

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def steps(self) -> int:
        """Return the number of batches in an epoch."""
        return sum(part.steps() for part in self.parts) if self.count is None else self.count

    def draws(self, progress: float, generator: torch.Generator) -> Iterator[Drawn]:
        """Yield the random part of every batch of one epoch; each part draws from a generator of its own."""
        owners = torch.cat([torch.full((part.steps(),), k) for k, part in enumerate(self.parts)])
        order = derived(generator, "order of the parts")
        own = [derived(generator, f"part {k}") for k in range(len(self.parts))]
        left = self.steps()
        while left > 0:
            draws = [part.draws(progress, mine) for part, mine in zip(self.parts, own, strict=True)]
            for k in owners[torch.randperm(len(owners), generator=order)][:left].tolist():
                drawn = next(draws[k])
                yield Drawn(index=drawn["index"], numbers=(), experts={k: drawn})
            left -= len(owners)

    def batch_of(self, drawn: Drawn) -> Batch:
        """Return the batch that was drawn."""
        ((k, own),) = drawn["experts"].items()
        batch = self.parts[k].batch_of(own)
        return Batch(**batch, experts={k: batch})

    def batches(self, progress: float, generator: torch.Generator) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        yield from map(self.batch_of, self.draws(progress, generator))
