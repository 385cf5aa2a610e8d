"""Losses that are the cross-entropy of adjusted logits: reduced by one kernel where nothing else is asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from longtail.facts.types import Progress
from longtail.functional import widen
from longtail.functional.adjusted import (
    AdjustedCrossEntropy,
    Adjustment,
    adjusted_cross_entropy,
    total_cross_entropy,
    totals_pay,
)
from longtail.functional.index_loss import IndexLoss
from longtail.losses.one_kernel import OneKernel


class Adjusted(OneKernel, ABC):
    """l(z, y) = -log softmax(a)_y, a_j = b_j z_j + o_j + t_j [j = y]."""

    @abstractmethod
    def adjustment(self, like: Tensor, progress: Progress | None) -> Adjustment | None:
        """Slot: b, o and t in the dtype and on the device of `like`; None where the loss is another one.

        Made inside `self.cached`, so that a call computes nothing over the classes.
        """

    def index_loss(self, like: Tensor, progress: Progress | None) -> IndexLoss | None:
        """-log softmax(a)_y."""
        adjustment = self.adjustment(like, progress)
        return None if adjustment is None else AdjustedCrossEntropy(self.ignore_index, adjustment)

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """-log softmax(a)_y."""
        adjustment = self.adjustment(logits, progress)
        assert adjustment is not None
        return adjusted_cross_entropy(logits, targets, adjustment, ignore_index=self.ignore_index)

    def reduced(
        self, logits: Tensor, targets: Tensor, progress: Progress | None, normalize: str | float | Tensor
    ) -> Tensor | None:
        """Return the mean or the sum, by our kernel on a GPU or torch's for both; None where neither applies."""
        loss = super().reduced(logits, targets, progress, normalize)
        if loss is not None:
            return loss
        if self.label_smoothing > 0 or self.outside is not None:
            return None
        z = widen(logits)
        adjustment = self.adjustment(z, progress)
        if adjustment is None or not totals_pay(z, targets, adjustment):
            return None
        targets = targets.long()
        weight = self._class_weight(z, progress)
        by_kept = isinstance(normalize, str) and (weight is None or (normalize == "weights" and self.all_weighed))
        mean = self.reduction == "mean" and by_kept
        loss, weights = total_cross_entropy(
            z, targets, adjustment, weight=weight, mean=mean, ignore_index=self.ignore_index
        )
        if mean:
            loss.detach().masked_fill_(weights == 0, 0)  # nothing counts; the gradient is 0 already
            return loss
        if self.reduction == "sum":
            return loss
        if not isinstance(normalize, str):
            return loss / normalize
        if normalize == "weights":
            return loss / weights.clamp(min=torch.finfo(weights.dtype).tiny)
        return loss / (targets != self.ignore_index).sum().clamp(min=1)
