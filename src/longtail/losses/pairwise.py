"""The pairwise-margin family, which includes logit adjustment and balanced cross-entropy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Unpack

import numpy as np
import torch
from torch import Tensor

from longtail import functional
from longtail.facts import checks
from longtail.facts.counts import positive_counts
from longtail.facts.knobs import Choice, Range
from longtail.facts.types import Progress
from longtail.losses.loss import Loss
from longtail.losses.per_class import PerClass, per_class
from longtail.losses.signature import Common

Delta = Annotated[str, Choice(("prior", "ones"), others=(Tensor, list, tuple, np.ndarray))] | Tensor | Sequence[float]
POSITIVE = Range(0, open_low=True, open_high=True)
NON_NEGATIVE = Range(0, open_high=True)
FINITE = Range(open_low=True, open_high=True)


class PairwiseLoss(Loss):
    """l(z, y) = alpha_y log( 1 + sum_{k != y} e^(Delta_yk + z_k - z_y) ), Delta_yk = log(delta_k / delta_y) + m_y.

    With alpha_y = delta_y / pi_y (the default) and no margin it is Fisher consistent for the balanced error,
    whatever delta > 0: delta = pi gives logit adjustment, delta = 1 cross-entropy weighted by 1 / pi. Other choices
    are not: with alpha = 1, delta = 1 and m = pi^(-1/4) it is the paper's *adaptive* loss (LDAM's idea), with
    delta = F(pi) and m = log F(pi), so Delta_yk = log F(pi_k), its *equalised* one (SEQL's), and with delta = pi
    and m = pi^(-1/4) logit adjustment with adaptive margins.

    alpha is a factor of the loss, no part of the weights omega; the mean divides by the batch. Predict with
    argmax z: where delta is consistent, softmax(z) models balanced classes.

    Args:
        class_counts: n (C,); not needed where neither delta nor alpha reads pi.
        delta: "prior" (pi), "ones", or numbers > 0 (C,).
        alpha: numbers >= 0, one or (C,); delta / pi unless given.
        margin: m, any finite number or (C,); 0 unless given.
        common: as in `Loss`. With zero_count="mask" an empty class leaves the sum wherever pi is read, gets no
            gradient, and targets on it do not count.

    Reference: Menon et al., Long-tail learning via logit adjustment, ICLR 2021, eq. 11 and theorem 1.
    """

    DIVIDES_BY: ClassVar[str] = "batch"
    log_delta: Tensor
    delta: str | Tensor | Sequence[float]
    alpha: PerClass
    margin: PerClass

    def __init__(
        self,
        class_counts: Any = None,
        *,
        delta: Delta = "prior",
        alpha: PerClass = None,
        margin: PerClass = None,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(class_counts, {"delta": delta, "alpha": alpha, "margin": margin}, **common)

    def statistics(self, counts: Tensor | None) -> dict[str, Tensor]:
        """log delta; alpha unless it is 1, and m unless it is 0."""
        pi = self._prior(counts) if self.alpha is None or isinstance(self.delta, str) else None
        delta = self._delta(pi, counts)
        inside = torch.ones_like(delta, dtype=torch.bool) if pi is None else pi > 0
        delta = torch.where(inside, delta, 0.0)
        if pi is None or self.alpha is not None:
            alpha = per_class("alpha", self.alpha, len(delta), NON_NEGATIVE)
            checks.some_positive("alpha", alpha, counts)
        else:
            alpha = torch.where(inside, delta / pi, 0.0)
        constants = {"log_delta": delta.log()}
        if not bool((alpha[inside] == 1).all()):
            constants["class_alpha"] = alpha
        if self.margin is not None:
            constants["margins"] = per_class("margin", self.margin, len(delta), FINITE)
        return constants if bool(inside.all()) else {**constants, "outside": ~inside}

    def _prior(self, counts: Tensor | None) -> Tensor:
        n = positive_counts(self.counted(counts), self.zero_count)
        return n / n.sum()

    def _delta(self, pi: Tensor | None, counts: Tensor | None) -> Tensor:
        if pi is not None and isinstance(self.delta, str):
            return pi if self.delta == "prior" else torch.ones_like(pi)
        size = None if counts is None else len(counts)
        return per_class("delta", self.delta, size, POSITIVE, one_for_all=False)

    def _num_classes(self) -> int | None:
        return len(self.log_delta)

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """The pairwise loss times alpha."""
        log_delta, margins = self.constant("log_delta", logits), self._optional("margins", logits)

        def loss(z: Tensor, t: Tensor) -> Tensor:
            return functional.pairwise(z, t, log_delta, margins, ignore_index=self.ignore_index)

        alpha = self._optional("class_alpha", logits)
        return functional.class_weighted(loss, logits, targets, alpha, self.ignore_index)

    def _optional(self, name: str, like: Tensor) -> Tensor | None:
        return None if self._buffers.get(name) is None else self.constant(name, like)
