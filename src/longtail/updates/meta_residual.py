"""META: class weights, and on each of them a residual from one meta step."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from longtail.facts.knobs import Range
from longtail.facts.types import Progress
from longtail.updates.meta_weights import Gradient, MetaWeights, finite

STEP = Range(0, open_low=True, open_high=True)
SHARE = Range(0, 1)


@final
class MetaResidual(MetaWeights):
    """w_i = c_y + e_i, c the class weights and e_i = -step dM/dw_i: META, a class weight and a learned residual.

    The look-ahead step descends the sum of c_y l_i, the real step the mean of w_i l_i. Before `start` w_i = 1.

    Args:
        class_weight: c (C,); None for ones.
        step: of the residual, from 0; > 0.
        start: progress from which it acts, in [0, 1]; 0 from the first step on, without `progress`.
        layer, every: as in `MetaWeights`.

    Jamal, Brown, Yang, Wang and Gong 2020, "Rethinking Class-Balanced Methods for Long-Tailed Visual Recognition From a
    Domain Adaptation Perspective", algorithm 1 (CVPR).
    """

    class_weight: Tensor | None

    def __init__(
        self,
        class_weight: Tensor | None = None,
        *,
        step: float = 0.01,
        start: float = 0.0,
        layer: str | None = None,
        every: int = 1,
    ) -> None:
        super().__init__(layer=layer, every=every)
        STEP.check("step", step)
        SHARE.check("start", start)
        self.step, self.start = step, start
        self.register_buffer("class_weight", class_weight)

    def looks_ahead(self, progress: Progress | None) -> bool:
        """Return whether it has begun and this step looks ahead, and count the step if so."""
        return self._begun(progress) and super().looks_ahead(progress)

    def plain(self, losses: Tensor, targets: Tensor | None, progress: Progress | None) -> Tensor:
        """Return the class weights; ones before the start."""
        return self._class_weights(losses, targets) if self._begun(progress) else torch.ones_like(losses)

    def improved(self, losses: Tensor, targets: Tensor | None, gradient: Gradient) -> Tensor:
        """Return class weight and residual, neither clipped nor normalised."""
        weights = self._class_weights(losses, targets)
        return weights - self.step * finite(gradient(weights))

    def _begun(self, progress: Progress | None) -> bool:
        if self.start == 0:
            return True
        if progress is None:
            raise TypeError("MetaResidual with a start needs progress, got None; pass progress=epoch / epochs")
        return bool(progress >= self.start)

    def _class_weights(self, losses: Tensor, targets: Tensor | None) -> Tensor:
        if self.class_weight is None:
            return torch.ones_like(losses)
        if targets is None:
            raise TypeError("MetaResidual with class weights needs targets, got None; pass targets=")
        return self.class_weight.to(losses.dtype)[targets]
