"""Losses that a GPU evaluates, weighs and sums by one kernel where nothing else is asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import cast

import torch
from torch import Tensor

from longtail.facts.types import Progress
from longtail.functional import gpu, launch
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
        both = self._by_kernel(logits, targets, progress, normalize, with_losses=False)
        return None if both is None else both[0]

    def with_losses(
        self,
        logits: Tensor,
        targets: Tensor,
        *,
        features: Tensor | None = None,
        sample_weight: Tensor | None = None,
        progress: Progress | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the mean (or sum) and the per-example losses behind it, from one evaluation."""
        if sample_weight is None and self.reduction != "none" and _on_gpu(logits):
            self._check(logits, targets, None, features, progress)
            both = self._by_kernel(logits, targets, progress, self.normalize, with_losses=True)
            if both is not None:
                return cast("tuple[Tensor, Tensor]", both)
        return super().with_losses(logits, targets, features=features, sample_weight=sample_weight, progress=progress)

    def per_example(
        self,
        logits: Tensor,
        targets: Tensor,
        *,
        features: Tensor | None = None,
        sample_weight: Tensor | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Return s_i w_{y_i} l(z_i, y_i), (N, d1..dk): weighted, not normalised, 0 where ignored."""
        if sample_weight is None and _on_gpu(logits):
            self._check(logits, targets, None, features, progress)
            both = self._by_kernel(logits, targets, progress, None, with_losses=True)
            if both is not None:
                return cast("Tensor", both[1])
        return super().per_example(logits, targets, features=features, sample_weight=sample_weight, progress=progress)

    def _by_kernel(
        self,
        logits: Tensor,
        targets: Tensor,
        progress: Progress | None,
        normalize: str | float | Tensor | None,
        *,
        with_losses: bool,
    ) -> tuple[Tensor | None, Tensor | None] | None:
        """Return the reduced loss, None where `normalize` is, and the losses; None where no kernel applies."""
        if not _on_gpu(logits) or self.label_smoothing > 0 or self.outside is not None:
            return None
        like = logits
        if logits.dtype in (torch.float16, torch.bfloat16):  # which the kernel widens itself
            like = logits.new_empty((0, *logits.shape[1:]), dtype=torch.float32)
        loss = self.index_loss(like, progress)
        if loss is None or not gpu.runs(loss, logits, targets):
            return None
        weight = self._class_weight(like, progress)
        number = None if isinstance(normalize, str | None) or self.reduction != "mean" else normalize
        by = launch.SUM
        if normalize is None or (number is not None and with_losses):
            by = launch.EACH
        elif self.reduction == "mean" and isinstance(normalize, str):
            by = launch.BY_WEIGHTS if normalize == "weights" and weight is not None else launch.BY_ROWS
        value, losses = gpu.evaluate(loss, logits, targets, weight, by, with_losses=with_losses)
        if number is None:
            return value, losses
        if losses is not None:  # so that the graph has a way from them to the mean, see `gpu.share_of_each`
            value = losses.sum()
        return None if value is None else value / number, losses


def _on_gpu(logits: object) -> bool:
    return isinstance(logits, Tensor) and (logits.is_cuda or gpu.INTERPRETED)
