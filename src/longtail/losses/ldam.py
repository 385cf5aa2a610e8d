"""Label-distribution-aware margins: the LDAM loss, and the hinge of which it is the smooth form."""

from __future__ import annotations

from abc import ABC
from typing import Any, Unpack

import torch
from torch import Tensor

from longtail import functional
from longtail.facts.knobs import NonNegative, Positive
from longtail.facts.types import Progress
from longtail.functional.adjusted import Adjustment
from longtail.losses.adjusted import Adjusted
from longtail.losses.scaled import Scaled
from longtail.losses.signature import Common


class MarginPerClass(Scaled, ABC):
    """A loss with margins Delta_j = max_margin n_j^(-1/4) / max_k n_k^(-1/4)."""

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

    def margins(self, like: Tensor, progress: Progress | None) -> Tensor:
        """Return Delta (C,)."""
        margins: Tensor = self.knob("max_margin", progress) * self.constant("relative_margins", like)
        return margins


class LDAMLoss(MarginPerClass, Adjusted):
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

    def adjustment(self, like: Tensor, progress: Progress | None) -> Adjustment:
        """b = s, t = -s Delta."""
        scale = self.knob("scale", progress)

        def make() -> Adjustment:
            return Adjustment(scale, true_offset=-scale * self.margins(like, progress))

        return self.cached("adjustment", like, (self.knob("max_margin", progress), scale), make)


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

    def __init__(
        self,
        class_counts: Any = None,
        *,
        max_margin: NonNegative = 0.5,
        scale: Positive = 1.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(class_counts, max_margin=max_margin, scale=scale, **common)

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """The hinge with the margins and the scale s of this progress."""
        margins, scale = self.margins(logits, progress), self.knob("scale", progress)
        return functional.hinge(logits, targets, margins, scale, ignore_index=self.ignore_index)
