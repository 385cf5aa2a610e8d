"""Losses that multiply their logits by a scale of their own."""

from __future__ import annotations

from abc import ABC

from torch import Tensor

from longtail.facts.types import Progress
from longtail.functional import widen
from longtail.losses.loss import Loss


class Scaled(Loss, ABC):
    """A loss with a knob `scale`: its logits are cosines, its scores s z."""

    def scores(self, logits: Tensor, progress: Progress | None = None) -> Tensor:
        """s z."""
        scaled: Tensor = widen(logits) * self.knob("scale", progress)
        return scaled
