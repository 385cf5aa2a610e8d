"""Label-distribution-aware margins: the LDAM loss, and the hinge of which it is the smooth form."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor

from longtail import functional
from longtail.facts.knobs import NonNegative, Positive
from longtail.facts.types import Progress
from longtail.losses.scaled import Scaled
from longtail.losses.signature import Common


class MarginPerClass(Scaled, ABC):
    """A loss with margins Delta_j = max_margin n_j^(-1/4) / max_k n_k^(-1/4); `pointwise` is its formula."""

    pointwise: ClassVar[Callable[..., Tensor]]

    def __init__(
        self,
        class_counts: Any = None,
        *,
        max_margin: NonNegative = 0.5,
        scale: Positive = 30.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(class_counts, {"max_margin": max_margin, "scale": scale}, **common)

    def statistics(self, counts: Tensor | None) -> dict[str, Tensor]:
        """Delta / max_margin, so that the margin may move with progress."""
        counts = self.counted(counts)
        relative = functional.ldam_margins(counts, 1.0, zero_count=self.zero_count, dtype=torch.float64)
        return {"relative_margins": relative}

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """The formula with the margins and the scale s of this progress."""
        margins = self.knob("max_margin", progress) * self.constant("relative_margins", logits)
        return self.pointwise(logits, targets, margins, self.knob("scale", progress), ignore_index=self.ignore_index)


class LDAMLoss(MarginPerClass):
    """l(z, y) = -log( e^(s (z_y - Delta_y)) / (e^(s (z_y - Delta_y)) + sum_{j != y} e^(s z_j)) ).

    Delta_j = max_margin n_j^(-1/4) / max_k n_k^(-1/4): rare classes must be right by more. The logits are
    cosines (`longtail.heads.CosineClassifier`); the scale s lives here, so predictions rank by s z and the
    probability model is softmax(s z). With `class_weight="effective"` and `reweight=switch(0.8, 0, 1)` it is
    LDAM-DRW.

    Args:
        class_counts: n (C,).
        max_margin: >= 0, scheduled or not; the margin of the rarest class. 0.5 for small data, 0.3 for
            iNaturalist.
        scale: s > 0, scheduled or not; 30 in the released code, absent from the paper.
        common: as in `Loss`. With zero_count="mask" an empty class has no margin and is left out of the
            maximum.

    Reference: Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS
    2019, section 3.2, eq. 12-13.
    """

    pointwise = staticmethod(functional.ldam)


class LDAMHingeLoss(MarginPerClass):
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

    pointwise = staticmethod(functional.hinge)

    def __init__(
        self,
        class_counts: Any = None,
        *,
        max_margin: NonNegative = 0.5,
        scale: Positive = 1.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(class_counts, max_margin=max_margin, scale=scale, **common)
