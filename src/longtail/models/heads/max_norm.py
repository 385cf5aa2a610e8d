"""A bound on the lengths of a classifier's rows."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from longtail.facts.knobs import Range, UnitFloat


@final
class MaxNorm(nn.Module):
    """Projects the rows of a head's weight into a ball; call it after every optimiser step.

    w_j <- w_j min(1, t / ||w_j||),   t = min_j ||w_j|| + share (max_j ||w_j|| - min_j ||w_j||) at the start

    In place; shorter rows and the bias do not change.

    Args:
        weight: the rows at the start (C, D).
        share: in [0, 1]; 0 is the shortest row's length, 1 the longest's.

    The buffer `radius` () is t, float32 or wider.

    Reference: Alshammari et al. 2022, "Long-Tailed Recognition via Weight Balancing", and its code.
    """

    radius: Tensor

    def __init__(self, weight: Tensor, share: UnitFloat = 0.1) -> None:
        super().__init__()
        Range(0, 1).check("share", share)
        if weight.ndim != 2:
            raise ValueError(f"weight must be of shape (C, D), got {tuple(weight.shape)}; pass head.weight")
        low, high = torch.linalg.vector_norm(weight.detach(), dim=1).aminmax()
        self.register_buffer("radius", low + share * (high - low))

    @torch.no_grad()
    def forward(self, network: Any) -> None:
        """Bound the rows of `network.head.weight`."""
        weight: Tensor = network.head.weight
        length = torch.linalg.vector_norm(weight, dim=1, keepdim=True)
        weight.mul_((self.radius / length.clamp(min=torch.finfo(length.dtype).tiny)).clamp(max=1))
