"""Class-wise affine logits: the vector-scaling loss and its case without offsets."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor

from longtail import functional
from longtail.facts.knobs import NonNegative
from longtail.facts.types import Progress
from longtail.losses.logit_adjusted import prior_constants
from longtail.losses.loss import Loss
from longtail.losses.signature import Common


class VSLoss(Loss):
    """l(z, y) = -log softmax(b z + tau log pi)_y, b_j = (n_j / n_max)^gamma, pi_j = n_j / N.

    gamma = 0 is logit adjustment, tau = 0 class-dependent temperatures. The logits are adjusted in training only:
    predict with argmax z (`scores`), and softmax(z) is the model of balanced classes, as for logit adjustment.
    Consistent for the balanced error at gamma = 0, tau = 1 only; gamma > 0 matters where the training set
    is fitted without error.

    With gamma=switch(0.8, gamma, 0), reweight=switch(0.8, 0, 1) and class_weight=class_weights.power(n, nu) it is
    VS + TLA + ADRW: the factor is truncated to 1 when the weights pi^-nu come in.

    Args:
        class_counts: n (C,).
        gamma: >= 0, scheduled or not.
        tau: >= 0, scheduled or not.
        common: as in `Loss`. With zero_count="mask" an empty class leaves the denominator, gets no gradient, and
            targets on it do not count.

    Reference: Kini et al., Label-Imbalanced and Group-Sensitive Classification under Overparameterization, NeurIPS
    2021, section 2; Wang et al., A Unified Generalization Analysis of Re-Weighting and Logit-Adjustment for
    Imbalanced Learning, NeurIPS 2023 (TLA, ADRW).
    """

    def __init__(
        self, class_counts: Any = None, *, gamma: NonNegative = 0.3, tau: NonNegative = 1.0, **common: Unpack[Common]
    ) -> None:
        super().__init__(class_counts, {"gamma": gamma, "tau": tau}, **common)

    def statistics(self, counts: Tensor | None) -> dict[str, Tensor]:
        """n / n_max and log pi."""
        return _constants(self.counted(counts), self.zero_count)

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """-log softmax(b z + tau log pi)_y."""
        factors = self.constant("relative_counts", logits) ** self.knob("gamma", progress)
        prior, tau = self.constant("log_prior", logits), self.knob("tau", progress)
        return functional.vector_scaled(logits, targets, factors, prior, tau, ignore_index=self.ignore_index)


class CDTLoss(Loss):
    """l(z, y) = -log softmax(b z)_y, b_j = (n_j / n_max)^gamma: class-dependent temperatures 1 / b.

    A rare class's logit is shrunk in training, so that the network must raise it; predict with argmax z (`scores`),
    without the temperatures. `VSLoss` at tau = 0. Not consistent for the balanced error.

    Args:
        class_counts: n (C,).
        gamma: >= 0, scheduled or not; 0 is cross-entropy.
        common: as in `Loss`; zero_count="mask" as in `VSLoss`.

    Reference: Ye et al., Identifying and Compensating for Feature Deviation in Imbalanced Deep Learning, 2020,
    section 4.
    """

    def __init__(self, class_counts: Any = None, *, gamma: NonNegative = 0.2, **common: Unpack[Common]) -> None:
        super().__init__(class_counts, {"gamma": gamma}, **common)

    def statistics(self, counts: Tensor | None) -> dict[str, Tensor]:
        """n / n_max; and log pi where it masks an empty class."""
        constants = _constants(self.counted(counts), self.zero_count)
        return constants if "outside" in constants else {"relative_counts": constants["relative_counts"]}

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """-log softmax(b z)_y."""
        factors = self.constant("relative_counts", logits) ** self.knob("gamma", progress)
        prior = None if self.outside is None else self.constant("log_prior", logits)
        return functional.vector_scaled(logits, targets, factors, prior, 0.0, ignore_index=self.ignore_index)


def _constants(counts: Tensor, zero_count: str | float) -> dict[str, Tensor]:
    relative = functional.relative_counts(counts, zero_count=zero_count, dtype=torch.float64)
    return {"relative_counts": relative, **prior_constants(counts, zero_count)}
