"""The label-distribution-aware margin loss."""

from __future__ import annotations

from typing import Any, Unpack

from torch import Tensor

from longtail import functional
from longtail.facts.knobs import NonNegative, Positive
from longtail.facts.types import Progress
from longtail.losses.rare_margins import RareMargins
from longtail.losses.signature import Common


class LDAMLoss(RareMargins):
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

    def __init__(
        self,
        class_counts: Any = None,
        *,
        max_margin: NonNegative = 0.5,
        scale: Positive = 30.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(class_counts, {"max_margin": max_margin, "scale": scale}, **common)

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """Cross-entropy of s z with the true class's cosine lowered by its margin."""
        margins, scale = self.margins(logits, progress), self.knob("scale", progress)
        return functional.ldam(logits, targets, margins, scale, ignore_index=self.ignore_index)
