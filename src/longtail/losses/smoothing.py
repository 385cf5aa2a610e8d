"""Label-aware smoothing: the larger the class, the more its labels are smoothed."""

from __future__ import annotations

from typing import Annotated, Any, Unpack

import torch
from torch import Tensor

from longtail import functional
from longtail.facts.knobs import Choice, PositiveFloat, UnitFloat
from longtail.facts.types import Progress
from longtail.losses.loss import Loss
from longtail.losses.signature import Common

Shape = Annotated[str, Choice(functional.SHAPES)]


class LabelAwareSmoothingLoss(Loss):
    """l(z, y) = -(1 - e_y) log p_y - e_y (1/C) sum_j log p_j, p = softmax(z), e_y between `tail` and `head`.

    e is `tail` for the smallest class and `head` for the largest; `shape` says how it rises with the count
    (`functional.smoothing_strengths`). Equal counts are label smoothing of strength `head`.

    Args:
        class_counts: n (C,).
        head, tail: in [0, 1].
        shape: "concave", "linear", "convex" or "exp".
        power: > 0, of shape "exp".
        common: as in `Loss`. With zero_count="mask" an empty class has the strength `tail`.

    Reference: Zhong et al., Improving Calibration for Long-Tailed Recognition (MiSLAS), CVPR 2021.
    """

    head: float
    tail: float
    shape: str
    power: float

    def __init__(
        self,
        class_counts: Any = None,
        *,
        head: UnitFloat = 0.4,
        tail: UnitFloat = 0.1,
        shape: Shape = "concave",
        power: PositiveFloat = 2.0,
        **common: Unpack[Common],
    ) -> None:
        own = {"head": head, "tail": tail, "shape": shape, "power": power}
        super().__init__(class_counts, own, **common)

    def statistics(self, counts: Tensor | None) -> dict[str, Tensor]:
        """The strengths e."""
        strengths = functional.smoothing_strengths(
            self.counted(counts),
            self.head,
            self.tail,
            self.shape,
            self.power,
            zero_count=self.zero_count,
            dtype=torch.float64,
        )
        return {"strengths": strengths}

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """Cross-entropy with the smoothed targets."""
        soft = functional.class_smoothed(targets, self.constant("strengths", logits), logits, self.ignore_index)
        return functional.cross_entropy(logits, soft)
