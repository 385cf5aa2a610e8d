"""Cross-entropy and its focal modulation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

from torch import Tensor

from longtail import functional
from longtail.facts import checks
from longtail.facts.knobs import NonNegative, Range
from longtail.facts.types import Progress
from longtail.functional.adjusted import NONE, Adjustment
from longtail.functional.index_loss import IndexLoss
from longtail.functional.softmax import Focal
from longtail.losses.adjusted import Adjusted
from longtail.losses.one_kernel import OneKernel
from longtail.losses.per_class import per_class
from longtail.losses.signature import Common
from longtail.losses.weighting import class_weight_of


class CrossEntropyLoss(Adjusted):
    """l(z, y) = -log softmax(z)_y: plain training, and the base that every other loss is measured against.

    With `class_weight="effective"` and `reweight=switch(0.8, 0, 1)` it is CE-DRW. Equal to
    `torch.nn.CrossEntropyLoss(weight)` for class indices.
    """

    def __init__(self, class_counts: Any = None, **common: Unpack[Common]) -> None:
        super().__init__(class_counts, {}, **common)

    def adjustment(self, like: Tensor, progress: Progress | None) -> Adjustment:
        """None."""
        return NONE


class FocalLoss(OneKernel):
    """l(z, y) = -alpha_y (1 - p_y)^gamma log p_y, p = softmax(z): well-classified examples weigh less.

    Args:
        class_counts: n (C,), for a named class weight.
        gamma: >= 0, scheduled or not; 0 is cross-entropy.
        alpha: a factor of the loss, per class (C,) or one for all; it is no part of the weights omega.
        weight_in_modulator: the class weight also enters the modulator, -log p_y being replaced by
            -w_y log p_y throughout, as LDAM's code has it; its published focal rows use it.
        common: as in `Loss`; the mean divides by the batch.

    Reference: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, eq. 5, there for two classes.
    """

    DIVIDES_BY: ClassVar[str] = "batch"
    alpha: float | Tensor | Sequence[float] | None
    weight_in_modulator: bool

    def __init__(
        self,
        class_counts: Any = None,
        *,
        gamma: NonNegative = 2.0,
        alpha: float | Tensor | Sequence[float] | None = None,
        weight_in_modulator: bool = False,
        **common: Unpack[Common],
    ) -> None:
        own = {"gamma": gamma, "alpha": alpha, "weight_in_modulator": weight_in_modulator}
        super().__init__(class_counts, own, **common)

    def statistics(self, counts: Tensor | None) -> dict[str, Tensor]:
        """alpha, (C,) or one for all."""
        if self.alpha is None:
            return {}
        size = None if counts is None else len(counts)
        alpha = per_class("alpha", self.alpha, size, Range(0, open_high=True))
        checks.some_positive("alpha", alpha, counts)
        return {"class_alpha": alpha}

    def index_loss(self, like: Tensor, progress: Progress | None) -> IndexLoss | None:
        """-(1 - p_y)^gamma log p_y; None with alpha, or with a weight in the modulator."""
        plain = self.alpha is None and not self.weight_in_modulator
        return Focal(self.ignore_index, self.knob("gamma", progress)) if plain else None

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """-alpha_y (1 - p_y)^gamma log p_y."""
        return self._focal(logits, targets, None, progress)

    def weighted(
        self,
        logits: Tensor,
        targets: Tensor,
        weight: Tensor,
        progress: Progress | None,
        features: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """The weight multiplies the loss, or enters it."""
        if self.weight_in_modulator:
            omega = class_weight_of(targets, weight, self.ignore_index)
            return self._focal(logits, targets, weight, progress), omega
        return super().weighted(logits, targets, weight, progress, features)

    def _focal(
        self, logits: Tensor, targets: Tensor, modulator_weight: Tensor | None, progress: Progress | None
    ) -> Tensor:
        gamma = self.knob("gamma", progress)

        def loss(z: Tensor, t: Tensor) -> Tensor:
            return functional.focal(z, t, gamma, modulator_weight=modulator_weight, ignore_index=self.ignore_index)

        if self.alpha is None:
            return loss(logits, targets)
        alpha = self.constant("class_alpha", logits).expand(logits.shape[1])
        return functional.class_weighted(loss, logits, targets, alpha, self.ignore_index)
