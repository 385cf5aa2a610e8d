"""Losses that a GPU evaluates, weighs and sums by one kernel where nothing else is asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from longtail.facts.types import Progress
from longtail.functional import gpu
from longtail.functional.index_loss import IndexLoss
from longtail.losses.loss import Loss


class OneKernel(Loss, ABC):
    """A loss of class indices that `longtail.functional.gpu` knows."""

    @abstractmethod
    def index_loss(self, like: Tensor, progress: Progress | None) -> IndexLoss | None:
        """Slot: l, its constants in the dtype and on the device of `like`; None where this setting has no kernel."""

    def reduced(
        self, logits: Tensor, targets: Tensor, progress: Progress | None, normalize: str | float | Tensor
    ) -> Tensor | None:
        """Return the mean or the sum by a kernel on a GPU; None where it does not apply."""
        if logits.device.type not in gpu.DEVICES or self.label_smoothing > 0 or self.outside is not None:
            return None
        like = logits
        if logits.dtype in (torch.float16, torch.bfloat16):  # which the kernel widens itself
            like = logits.new_empty((0, *logits.shape[1:]), dtype=torch.float32)
        loss = self.index_loss(like, progress)
        if loss is None or not gpu.runs(loss, logits, targets):
            return None
        weight = self._class_weight(like, progress)
        if self.reduction == "sum":
            return gpu.reduced(loss, logits, targets, weight, gpu.SUM)
        if not isinstance(normalize, str):
            return gpu.reduced(loss, logits, targets, weight, gpu.SUM) / normalize
        by = gpu.BY_WEIGHTS if normalize == "weights" and weight is not None else gpu.BY_ROWS
        return gpu.reduced(loss, logits, targets, weight, by)
