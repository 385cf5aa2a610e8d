"""Masking for the rows of a table: some columns take the values of other rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from longtail.data.views.types import Augmentation, Numbers


@dataclass(frozen=True)
class Masking(Augmentation):
    """Every column of a row is replaced, with probability `share`, by its value in a row of the batch drawn at random.

    A draw from the column's distribution in the batch: numbers stay possible numbers, codes stay codes. Input columns
    of the same source (a number, and whether it is missing) are replaced together, from the same row.

    The corruption of VIME (share 0.3; Yoon et al. 2020) and SCARF (share 0.6; Bahri et al. 2022), which draw from the
    whole training part instead of the batch.

    Args:
        share: expected share of columns that are replaced.
        sources: for each of the D input columns the number of its source; None where each is its own.
    """

    share: float = 0.3
    sources: tuple[int, ...] | None = None

    def draw(self, rows: int, shape: Sequence[int], generator: torch.Generator) -> Numbers:
        """Return which columns are replaced, and the place in [0, 1) of the other row in the batch: (rows, D) both."""
        source = torch.arange(shape[0]) if self.sources is None else torch.tensor(self.sources)
        size = (rows, int(source.max()) + 1)
        replaced = torch.rand(size, generator=generator) < self.share
        return replaced[:, source], torch.rand(size, generator=generator)[:, source]

    def apply(self, inputs: Tensor, numbers: Numbers) -> Tensor:
        """Return rows (B, D) of the same dtype."""
        replaced, place = numbers
        other = (place * len(inputs)).long().clamp(max=len(inputs) - 1)  # the product may be rounded up to B
        return torch.where(replaced, inputs.gather(0, other), inputs)
