"""Softmax equalisation (SEQL): frequent classes do not push rare ones down."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor

from longtail import functional
from longtail.facts.counts import positive_counts
from longtail.facts.knobs import Fraction, PositiveFloat
from longtail.facts.types import Progress
from longtail.functional import across
from longtail.losses.loss import Loss
from longtail.losses.signature import Common


class SoftmaxEqualizationLoss(Loss):
    """l(z, y) = -log( e^(z_y) / sum_k w_k e^(z_k) ), w_k = 1 - b_k [n_k / N < rare / C] [k != y].

    b_k is 1 with probability gamma, drawn anew for every example and class from the generator of the logits' device;
    gamma = 1 draws nothing. Where no class is below the threshold it is cross-entropy.

    Args:
        class_counts: n (C,).
        gamma: in [0, 1], scheduled or not.
        rare: > 0; classes with less than this part of an equal share 1/C are rare. 0.5 is the 0.005 that the Bag of
            Tricks uses on CIFAR-100.
        common: as in `Loss`.

    Reference: Tan et al., Equalization Loss for Long-Tailed Object Recognition, CVPR 2020.
    """

    rare: float

    def __init__(
        self,
        class_counts: Any = None,
        *,
        gamma: Fraction = 0.9,
        rare: PositiveFloat = 0.5,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(class_counts, {"gamma": gamma, "rare": rare}, **common)

    def statistics(self, counts: Tensor | None) -> dict[str, Tensor]:
        """Which classes are rare, bool (C,)."""
        n = positive_counts(self.counted(counts), self.zero_count)
        return {"is_rare": n * len(n) < self.rare * n.sum()}

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """Cross-entropy without the rare classes that are left out."""
        gamma = self.knob("gamma", progress)
        left_out = across(self.constant("is_rare", logits), logits).bool()
        if isinstance(gamma, Tensor) or gamma < 1:
            left_out = left_out & (torch.rand_like(logits) < gamma)
        return functional.equalised(logits, targets, left_out, ignore_index=self.ignore_index)
