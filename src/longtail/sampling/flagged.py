"""Rows that are drawn from those that something else has chosen for the epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor


@final
class Flagged:
    """Rows drawn with replacement from the flagged ones, all alike.

    Args:
        flags: returns which rows (N,), bool, at the start of an epoch; at least one.
        num_samples: rows of an epoch.
    """

    def __init__(self, flags: Callable[[], Tensor], num_samples: int) -> None:
        self.flags, self.num_samples = flags, num_samples

    def draw(self, progress: float, generator: torch.Generator) -> Tensor:
        """Return the rows (num_samples,) of one epoch."""
        rows = torch.nonzero(self.flags().cpu()).flatten()
        return rows[torch.randint(len(rows), (self.num_samples,), generator=generator)]
