"""One margin for all classes."""

from __future__ import annotations

from typing import Any, Unpack

from torch import Tensor

from longtail.facts.knobs import NonNegative, Positive
from longtail.facts.types import Progress
from longtail.functional.adjusted import Adjustment
from longtail.losses.adjusted import Adjusted
from longtail.losses.scaled import Scaled
from longtail.losses.signature import Common


class UniformMarginLoss(Scaled, Adjusted):
    """l(z, y) = -log( e^(s (z_y - m)) / (e^(s (z_y - m)) + sum_{j != y} e^(s z_j)) ): `LDAMLoss` with one margin.

    With `class_weight="effective"` and `reweight=switch(0.8, 0, 1)` it is the LDAM paper's M-DRW, which shows
    how much is gained by margins that differ between classes. The logits are cosines.

    Args:
        class_counts: n (C,), for a named class weight.
        margin: m >= 0, scheduled or not.
        scale: s > 0, scheduled or not.
        common: as in `Loss`.

    Reference: Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS
    2019, section 4 (ablation); Wang et al., CosFace, CVPR 2018, eq. 4.
    """

    def __init__(
        self,
        class_counts: Any = None,
        *,
        margin: NonNegative = 0.5,
        scale: Positive = 30.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(class_counts, {"margin": margin, "scale": scale}, **common)

    def adjustment(self, like: Tensor, progress: Progress | None) -> Adjustment:
        """b = s, t = -s m."""
        margin, scale = self.knob("margin", progress), self.knob("scale", progress)

        def make() -> Adjustment:
            return Adjustment(scale, true_offset=-scale * (margin * like.new_ones(like.shape[1])))

        return self.cached("adjustment", like, (margin, scale, like.shape[1]), make)
