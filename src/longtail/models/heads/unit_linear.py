"""A linear classifier on features of length 1."""

from __future__ import annotations

from typing import final

import torch.nn.functional as F
from torch import Tensor, nn

from longtail.functional import widen


@final
class UnitLinear(nn.Linear):
    """z = W h / ||h|| + b.

    Args:
        in_features, out_features: D and C.

    Shapes: features (B, D) -> (B, C), computed in float32 at least.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (B, C)."""
        return F.linear(F.normalize(widen(features), dim=1), self.weight, self.bias)
