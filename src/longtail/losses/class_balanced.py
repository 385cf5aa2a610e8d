"""The class-balanced loss: inverse effective numbers over three bases."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Unpack

import torch
from torch import Tensor

from longtail import functional
from longtail.facts.class_weights import BETA, Beta, effective_number
from longtail.facts.knobs import Choice, NonNegative
from longtail.facts.types import Progress
from longtail.functional import widen
from longtail.functional.adjusted import NONE, Adjustment
from longtail.functional.index_loss import IndexLoss
from longtail.functional.sigmoid import SigmoidCrossEntropy, SigmoidFocal
from longtail.losses.adjusted import Adjusted
from longtail.losses.signature import Common

Base = Annotated[str, Choice(("softmax", "sigmoid", "focal"))]


class ClassBalancedLoss(Adjusted):
    """l(z, y) = w_y base(z, y), w_y proportional to 1 / E_y, E_j = (1 - beta^n_j) / (1 - beta), summing to C.

    base="softmax": -log softmax(z)_y. base="sigmoid": C binary cross-entropies, summed over classes, all with
    the weight of y. base="focal": the same with every term times (1 - p_t)^gamma.

    The mean divides by the batch, not by the weights. The class weight is the loss's own, so `class_weight`
    is refused; `reweight` moves it. beta = 0 needs no counts: base="sigmoid" then is plain binary
    cross-entropy.

    Args:
        class_counts: n (C,).
        beta: in [0, 1); 0 weighs all classes alike, towards 1 the weights become inverse frequencies.
        base: "softmax", "sigmoid" or "focal".
        gamma: >= 0, scheduled or not; read by base="focal".
        common: as in `Loss`.

    For the sigmoid bases the paper starts the head's bias at -log(C - 1) and takes weight decay off it.

    Reference: Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019, section 4.
    """

    DIVIDES_BY: ClassVar[str] = "batch"
    beta: float
    base: str

    def __init__(
        self,
        class_counts: Any = None,
        *,
        beta: Beta = BETA,
        base: Base = "softmax",
        gamma: NonNegative = 1.0,
        **common: Unpack[Common],
    ) -> None:
        if common.get("class_weight") is not None:
            raise ValueError(
                f"class_weight of a ClassBalancedLoss is its own, got {common['class_weight']!r}; choose "
                'beta, or use CrossEntropyLoss(class_weight=..., normalize="batch")'
            )
        super().__init__(class_counts, {"beta": beta, "base": base, "gamma": gamma}, **common)

    def statistics(self, counts: Tensor | None) -> dict[str, Tensor]:
        """The class weight w."""
        if self.beta == 0:
            return {}
        weight = effective_number(self.counted(counts), self.beta, zero_count=self.zero_count, dtype=torch.float64)
        return {"class_weight": weight}

    @property
    def link(self) -> str:
        """ "sigmoid" for the sigmoid bases."""
        return "softmax" if self.base == "softmax" else "sigmoid"

    def adjustment(self, like: Tensor, progress: Progress | None) -> Adjustment | None:
        """None, and no cross-entropy for the sigmoid bases."""
        return NONE if self.base == "softmax" else None

    def index_loss(self, like: Tensor, progress: Progress | None) -> IndexLoss | None:
        """base(z, y)."""
        if self.base == "softmax":
            return super().index_loss(like, progress)
        if self.base == "sigmoid":
            return SigmoidCrossEntropy(self.ignore_index)
        return SigmoidFocal(self.ignore_index, self.knob("gamma", progress))

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """base(z, y)."""
        if self.base == "softmax":
            return super().losses(logits, targets, progress, features)
        if self.base == "sigmoid":
            return functional.sigmoid_cross_entropy(logits, targets, ignore_index=self.ignore_index)
        gamma = self.knob("gamma", progress)
        return functional.sigmoid_focal(logits, targets, gamma, ignore_index=self.ignore_index)

    def probabilities(self, logits: Tensor, progress: Progress | None = None) -> Tensor:
        """softmax(z), or for the sigmoid bases sigmoid(z), whose rows do not sum to 1."""
        return super().probabilities(logits, progress) if self.link == "softmax" else torch.sigmoid(widen(logits))
