"""Logit adjustment and its case tau = 1, balanced softmax."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor

from longtail import functional
from longtail.facts.knobs import NonNegative, Positive
from longtail.facts.types import Progress
from longtail.functional.adjusted import Adjustment
from longtail.functional.mixtures import Value
from longtail.functional.softmax import prior_offset
from longtail.losses.adjusted import Adjusted
from longtail.losses.loss import Loss
from longtail.losses.scaled import Scaled
from longtail.losses.signature import Common


class LogitAdjustedLoss(Scaled, Adjusted):
    """l(z, y) = -log softmax(s z + tau log pi)_y, pi_j = n_j / N.

    The network learns scores s z for balanced classes: predict with argmax z, not with the adjusted logits.
    Fisher consistent for the balanced error at tau = 1.

    Args:
        class_counts: n (C,).
        tau: >= 0, scheduled or not; 0 is cross-entropy.
        scale: s > 0, scheduled or not, for logits that are cosines; 1 in the paper, 25 in LIFT.
        common: as in `Loss`. With zero_count="mask" an empty class leaves the denominator (log pi = -inf),
            gets no gradient, and targets on it do not count.

    Reference: Menon et al., Long-tail learning via logit adjustment, ICLR 2021, eq. 10.
    """

    def __init__(
        self, class_counts: Any = None, *, tau: NonNegative = 1.0, scale: Positive = 1.0, **common: Unpack[Common]
    ) -> None:
        super().__init__(class_counts, {"tau": tau, "scale": scale}, **common)

    def statistics(self, counts: Tensor | None) -> dict[str, Tensor]:
        """log pi."""
        return prior_constants(self.counted(counts), self.zero_count)

    def adjustment(self, like: Tensor, progress: Progress | None) -> Adjustment:
        """b = s, o = tau log pi."""
        return prior_adjustment(self, like, self.knob("tau", progress), self.knob("scale", progress))


class BalancedSoftmaxLoss(Adjusted):
    """l(z, y) = -log( n_y e^z_y / sum_j n_j e^z_j ): `LogitAdjustedLoss` at tau = 1.

    Reference: Ren et al., Balanced Meta-Softmax for Long-Tailed Visual Recognition, NeurIPS 2020, section 3.1.
    """

    def __init__(self, class_counts: Any = None, **common: Unpack[Common]) -> None:
        super().__init__(class_counts, {}, **common)

    def statistics(self, counts: Tensor | None) -> dict[str, Tensor]:
        """log pi."""
        return prior_constants(self.counted(counts), self.zero_count)

    def adjustment(self, like: Tensor, progress: Progress | None) -> Adjustment:
        """o = log pi."""
        return prior_adjustment(self, like, 1.0)


def prior_adjustment(loss: Loss, like: Tensor, tau: Value, scale: Value = 1.0) -> Adjustment:
    """Return b = s, o = tau log pi."""

    def make() -> Adjustment:
        offset = prior_offset(loss.constant("log_prior", like), tau)
        unscaled = isinstance(scale, float) and scale == 1
        return Adjustment(offset=offset) if unscaled else Adjustment(scale, offset=offset)

    return loss.cached("adjustment", like, (tau, scale), make)


def prior_constants(counts: Tensor, zero_count: str | float) -> dict[str, Tensor]:
    """Return log pi and, where a class is masked, which classes are `outside`."""
    prior = functional.log_prior(counts, zero_count=zero_count, dtype=torch.float64)
    outside = torch.isneginf(prior)
    return {"log_prior": prior, "outside": outside} if bool(outside.any()) else {"log_prior": prior}
