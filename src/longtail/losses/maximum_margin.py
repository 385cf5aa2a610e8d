"""The maximum-margin loss: a margin that depends on each example's own lead."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor

from longtail import functional
from longtail.facts.knobs import NonNegative, Positive
from longtail.facts.types import Progress
from longtail.losses.scaled import Scaled
from longtail.losses.signature import Common

LDAM_MAX_MARGIN = 0.5
"""The largest of LDAM's margins where they enter this loss, as in the released code."""


class MaximumMarginLoss(Scaled):
    """l(z, y) = -log( e^(s (z_y - Delta)) / (e^(s (z_y - Delta)) + sum_{j != y} e^(s z_j)) ), Delta of the example.

    With m = z_y - max_{j != y} z_j, taken of the cosines before the scale and held constant in the gradient:
    Delta = exp(-m - delta_plus) where the example is right (m > 0), exp(m - delta_minus) where it is wrong
    or tied; delta_plus = beta delta_minus. Under a soft target every class is the true one in turn, with its own
    margin.

    ldam=True (MM-LDAM) replaces delta_minus by delta_minus - Delta_y and delta_plus by beta times that, Delta_y
    being `LDAMLoss`'s margin with maximum 0.5, so rare classes get the larger margin. The paper has no formula
    for it; this is the released code's.

    The released code differs from the paper, which is implemented here: it reads every row's true logit at the
    label of the batch's first example, takes the runner-up as max(0, others) instead of leaving the true class out,
    and gives a tie no margin. Its published numbers were probably made so. It tunes s per data set (10 to 26).

    Args:
        class_counts: n (C,), for ldam=True or a named class weight.
        delta_minus: >= 0, scheduled or not.
        beta: >= 0, scheduled or not.
        scale: s > 0, scheduled or not.
        ldam: whether LDAM's margins enter.
        common: as in `Loss`. With ldam=True and zero_count="mask" an empty class has no such margin.

    Reference: Kang et al., Learning Imbalanced Datasets with Maximum Margin Loss, ICIP 2021.
    """

    ldam: bool

    def __init__(
        self,
        class_counts: Any = None,
        *,
        delta_minus: NonNegative = 0.6,
        beta: NonNegative = 1.5,
        scale: Positive = 30.0,
        ldam: bool = False,
        **common: Unpack[Common],
    ) -> None:
        own = {"delta_minus": delta_minus, "beta": beta, "scale": scale, "ldam": ldam}
        super().__init__(class_counts, own, **common)

    def statistics(self, counts: Tensor | None) -> dict[str, Tensor]:
        """LDAM's margins, for ldam=True."""
        if not self.ldam:
            return {}
        counts = self.counted(counts)
        margins = functional.ldam_margins(counts, LDAM_MAX_MARGIN, zero_count=self.zero_count, dtype=torch.float64)
        return {"class_margins": margins}

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """Cross-entropy of s z with the true class's cosine lowered by the example's margin."""
        margins = functional.maximum_margins(
            logits,
            targets,
            self.knob("delta_minus", progress),
            self.knob("beta", progress),
            less=self.constant("class_margins", logits) if self.ldam else None,
            ignore_index=self.ignore_index,
        )
        scale = self.knob("scale", progress)
        return functional.example_margin(logits, targets, margins, scale, ignore_index=self.ignore_index)
