"""Random numbers of features that a step draws beside its rows: their classes, and standard normal numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from longtail.data.generators import derived
from longtail.data.over_rows import OverRows
from longtail.data.splits import Part
from longtail.data.views.types import Numbers, numbers_by_batch
from longtail.facts.types import Batch, Drawn


@dataclass(frozen=True)
class WithSamples(OverRows):
    """The batches of `rows`, each with the random numbers of `number` drawn features, `batch["samples"]`.

    Their classes (M,) int64 are drawn with the probabilities `chances`, with replacement, beside noise (M, D) from
    N(0, I); the last batch of an epoch has as many as all others. The rows, their order and augmentation are those
    without samples.

    Args:
        rows: drawn in batches.
        chances: (C,) on the CPU, with a sum of 1.
        number: M >= 1.
        width: D.
    """

    rows: Part
    chances: Tensor
    number: int
    width: int

    def draw(self, rows: int, shape: Sequence[int], generator: torch.Generator) -> Numbers:
        """Return the classes (rows,) and the noise (rows, D) of so many features."""
        classes = torch.multinomial(self.chances, rows, replacement=True, generator=generator)
        return classes, torch.randn(rows, self.width, generator=generator)

    def draws(self, progress: float, generator: torch.Generator) -> Iterator[Drawn]:
        """Yield the random part of every batch of one epoch; that of the rows is as it is without samples."""
        rows, device = self.rows, self.rows.targets.device
        # of its own, and another in each pass of an epoch of several, which leaves that of the rows as it is
        here = hashlib.sha256(generator.get_state().numpy().tobytes()).hexdigest()
        own = derived(generator, f"samples {here}")
        numbers = numbers_by_batch([self], self.steps() * self.number, self.number, (), own, device)
        for drawn, (samples,) in zip(rows.draws(progress, generator), numbers, strict=True):
            yield Drawn(**drawn, samples=samples)

    def batch_of(self, drawn: Drawn) -> Batch:
        """Return the batch that was drawn, with its samples."""
        classes, noise = drawn["samples"]
        return Batch(**{**self.rows.batch_of(drawn), "samples": (classes, noise)})
