"""Masking for the rows of a table: some columns take the values of other rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Masking:
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

    def __call__(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Return rows (B, D) of the same dtype."""
        size, columns = rows.shape
        source = torch.arange(columns) if self.sources is None else torch.tensor(self.sources)
        shape = (size, int(source.max()) + 1)
        replaced = (torch.rand(shape, generator=generator) < self.share)[:, source].to(rows.device)
        other = torch.randint(size, shape, generator=generator)[:, source].to(rows.device)
        return torch.where(replaced, rows.gather(0, other), rows)
