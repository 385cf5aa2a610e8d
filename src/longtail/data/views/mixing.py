"""Pairs of rows that are mixed in training, and in which shares: the random part of mixup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from longtail.data.views.types import Numbers, RandomNumbers
from longtail.facts.knobs import Range
from longtail.facts.types import Mixed

ALPHA = Range(0, open_low=True, open_high=True)


@dataclass(frozen=True)
class Mixing(RandomNumbers):
    """Every batch gets a random permutation of its rows, and one share from Beta(alpha, alpha).

    Args:
        alpha: > 0; 1 is the uniform distribution, small values mix little.
        by_row: whether every row gets a share of its own.
        larger: whether a row's share is the larger one, max(l, 1 - l), so that a mixed row is nearest to itself.
    """

    alpha: float = 1.0
    by_row: bool = False
    larger: bool = False

    def __post_init__(self) -> None:
        ALPHA.check("alpha", self.alpha)

    def draw(self, rows: int, shape: Sequence[int], generator: torch.Generator) -> Numbers:
        """Return a share, a place in the permutation and a place among layers for every row, each (rows,).

        A batch uses the layer of its first row, and its share unless `by_row`. The share is the inverse of Beta's
        distribution function at a uniform number.
        """
        from scipy.special import betaincinv  # a third of a second, for those that mix

        uniform = torch.rand(rows, generator=generator, dtype=torch.float64)
        share = torch.from_numpy(betaincinv(self.alpha, self.alpha, uniform.numpy())).float()
        return share, torch.rand(rows, generator=generator), torch.rand(rows, generator=generator)

    def pairs(self, numbers: Numbers) -> Mixed:
        """Return who is mixed with whom in a batch; nothing waits for the device."""
        share, order, layer = numbers
        partner: Tensor = order.argsort(stable=True)
        if self.larger:
            share = torch.maximum(share, 1 - share)
        return Mixed(partner, share if self.by_row else share[0], layer[0])
