"""The hinge with label-distribution-aware margins."""

from __future__ import annotations

from typing import Any, Unpack

from torch import Tensor

from longtail import functional
from longtail.facts.knobs import NonNegative, Positive
from longtail.facts.types import Progress
from longtail.losses.rare_margins import RareMargins
from longtail.losses.signature import Common


class LDAMHingeLoss(RareMargins):
    """l(z, y) = s max( max_{j != y} z_j - z_y + Delta_y, 0 ).

    Delta_j = max_margin n_j^(-1/4) / max_k n_k^(-1/4), as in `LDAMLoss`, whose loss is the smooth form of this
    one. Equal counts give the plain hinge with one margin for all (HG). The gradient vanishes where every
    example leads by its margin. The hinge has no probability model of its own: `probabilities` is
    softmax(s z).

    Args:
        class_counts: n (C,).
        max_margin: >= 0, scheduled or not; the margin of the rarest class.
        scale: s > 0, scheduled or not. The paper does not say how it scales or normalises the logits here.
        common: as in `Loss`. With zero_count="mask" an empty class has no margin and is left out of the
            maximum.

    Reference: Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS
    2019, section 3.2; run there on CIFAR-10 only, since it is hard to optimise with 100 classes.
    """

    def __init__(
        self,
        class_counts: Any = None,
        *,
        max_margin: NonNegative = 0.5,
        scale: Positive = 1.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(class_counts, {"max_margin": max_margin, "scale": scale}, **common)

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """The hinge on the true class's lead, times s."""
        margins, scale = self.margins(logits, progress), self.knob("scale", progress)
        return functional.hinge(logits, targets, margins, scale, ignore_index=self.ignore_index)
