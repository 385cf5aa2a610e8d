"""Dot regression, for a classifier of fixed vectors."""

from __future__ import annotations

from functools import partial
from typing import Any, Unpack

from torch import Tensor

from longtail import functional
from longtail.facts.knobs import Positive
from longtail.facts.types import Progress
from longtail.losses.scaled import Scaled
from longtail.losses.signature import Common
from longtail.losses.weighting import class_weight_of


class DotRegressionLoss(Scaled):
    """l(z, y) = (s / 2) (z_y - 1)^2, z cosines with the fixed vectors of `heads.FrameClassifier`.

    The scores are s z. It has no probability model of its own: `probabilities` is softmax(s z).

    Args:
        class_counts: n (C,), for a named class weight.
        scale: s = sqrt(E_W E_H) > 0, the length of class vectors times that of features; scheduled or not.
        rescale: whether losses are multiplied by `functional.balancing_factors` of the batch, as in the released code,
            which rescales class vectors. The factors count rows, whatever their sample weights.
        common: as in `Loss`.

    Reference: Yang et al., Inducing Neural Collapse in Imbalanced Learning: Do We Really Need a Learnable Classifier at
    the End of Deep Neural Network?, NeurIPS 2022.
    """

    rescale: bool

    def __init__(
        self, class_counts: Any = None, *, scale: Positive = 1.0, rescale: bool = False, **common: Unpack[Common]
    ) -> None:
        super().__init__(class_counts, {"scale": scale, "rescale": rescale}, **common)

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """The squares, rescaled or not."""
        return self._regressed(logits, targets, self._factors(logits, targets), progress)

    def weighted(
        self, logits: Tensor, targets: Tensor, weight: Tensor, progress: Progress | None, features: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The factors are those of the unweighted targets."""
        factors = self._factors(logits, targets)
        omega = class_weight_of(targets, weight, self.ignore_index)
        return self._regressed(logits, targets, weight if factors is None else weight * factors, progress), omega

    def _factors(self, logits: Tensor, targets: Tensor) -> Tensor | None:
        if not self.rescale:
            return None
        size, dtype = logits.shape[1], logits.dtype
        return functional.balancing_factors(targets, size, ignore_index=self.ignore_index, dtype=dtype)

    def _regressed(self, logits: Tensor, targets: Tensor, factors: Tensor | None, progress: Progress | None) -> Tensor:
        scale = self.knob("scale", progress)
        loss = partial(functional.dot_regression, scale=scale, ignore_index=self.ignore_index)
        return functional.class_weighted(loss, logits, targets, factors, self.ignore_index)
