"""The influence-balanced loss."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from torch import Tensor

from longtail import functional
from longtail.facts.knobs import Fraction, NonNegative, Positive
from longtail.facts.schedules import Schedule
from longtail.facts.types import Progress
from longtail.losses.loss import Loss
from longtail.losses.signature import Common
from longtail.losses.weighting import class_weight_of


class InfluenceBalancedLoss(Loss):
    """l(z, y) = c (1 - b + b (1 - e^-c)^gamma alpha / (G H + 0.001)), G = sum_k |p_k - [k = y]|, H = sum_d |h_d|.

    c = -w_y log p_y, w the class weight, p = softmax(z), h the features that enter the head: an example weighs the
    inverse of its influence on the classifier. With `class_weight="inverse"` and `reweight` and `balance` both
    `switch(0.5, 0, 1)` it is the paper's loss: plain cross-entropy first. The mean divides by the batch.

    Args:
        class_counts: n (C,), for a named class weight.
        alpha: > 0, scheduled or not.
        balance: b in [0, 1], scheduled or not; 0 is cross-entropy.
        gamma: >= 0, scheduled or not; 1 is the released code's combination with the focal loss, w in its modulator.
        detach: whether the factor is constant in the gradient, as the paper treats it; False is the released code.
        common: as in `Loss`.

    Shapes: `features` (N, D) are required.

    Reference: Park et al., Influence-Balanced Loss for Imbalanced Visual Classification, ICCV 2021.
    """

    DIVIDES_BY: ClassVar[str] = "batch"
    needs: ClassVar[frozenset[str]] = frozenset({"features"})
    gamma: float | Schedule
    detach: bool

    def __init__(
        self,
        class_counts: Any = None,
        *,
        alpha: Positive = 1000.0,
        balance: Fraction = 1.0,
        gamma: NonNegative = 0.0,
        detach: bool = True,
        **common: Unpack[Common],
    ) -> None:
        own = {"alpha": alpha, "balance": balance, "gamma": gamma, "detach": detach}
        super().__init__(class_counts, own, **common)

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """Cross-entropy times its factor."""
        return self._balanced(logits, targets, None, progress, features)

    def weighted(
        self,
        logits: Tensor,
        targets: Tensor,
        weight: Tensor,
        progress: Progress | None,
        features: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """The weight multiplies the loss, and with gamma enters its modulator too."""
        if self.gamma == 0:
            return super().weighted(logits, targets, weight, progress, features)
        omega = class_weight_of(targets, weight, self.ignore_index)
        return self._balanced(logits, targets, weight, progress, features), omega

    def _balanced(
        self, logits: Tensor, targets: Tensor, weight: Tensor | None, progress: Progress | None, features: Tensor | None
    ) -> Tensor:
        assert features is not None
        return functional.influence_balanced(
            logits,
            targets,
            features,
            self.knob("alpha", progress),
            self.knob("balance", progress),
            gamma=self.knob("gamma", progress),
            modulator_weight=weight,
            detach=self.detach,
            ignore_index=self.ignore_index,
        )
