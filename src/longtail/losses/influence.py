"""The influence-balanced loss."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from torch import Tensor

from longtail import functional
from longtail.facts.knobs import Fraction, Positive
from longtail.facts.types import Progress
from longtail.losses.loss import Loss
from longtail.losses.signature import Common


class InfluenceBalancedLoss(Loss):
    """l(z, y) = -log p_y (1 - b + b alpha / (G H + 0.001)), G = sum_k |p_k - [k = y]|, H = sum_d |h_d|.

    p = softmax(z), h the features that enter the head: an example weighs the inverse of its influence on the
    classifier. With `class_weight="inverse"` and `reweight` and `balance` both `switch(0.5, 0, 1)` it is the paper's
    training: plain cross-entropy first. The mean divides by the batch.

    Args:
        class_counts: n (C,), for a named class weight.
        alpha: > 0, scheduled or not.
        balance: b in [0, 1], scheduled or not; 0 is cross-entropy.
        detach: whether the factor is constant in the gradient, as the paper treats it; False is the released code.
        common: as in `Loss`.

    Shapes: `features` (N, D) are required.

    Reference: Park et al., Influence-Balanced Loss for Imbalanced Visual Classification, ICCV 2021.
    """

    DIVIDES_BY: ClassVar[str] = "batch"
    needs: ClassVar[frozenset[str]] = frozenset({"features"})
    detach: bool

    def __init__(
        self,
        class_counts: Any = None,
        *,
        alpha: Positive = 1000.0,
        balance: Fraction = 1.0,
        detach: bool = True,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(class_counts, {"alpha": alpha, "balance": balance, "detach": detach}, **common)

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """Cross-entropy times its factor."""
        assert features is not None
        return functional.influence_balanced(
            logits,
            targets,
            features,
            self.knob("alpha", progress),
            self.knob("balance", progress),
            detach=self.detach,
            ignore_index=self.ignore_index,
        )
