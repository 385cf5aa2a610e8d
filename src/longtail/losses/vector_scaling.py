"""Class-wise affine logits: the vector-scaling loss and its case without offsets."""

from __future__ import annotations

import math
from typing import Any, Unpack, cast

import torch
from torch import Tensor

from longtail import functional
from longtail.facts.knobs import NonNegative
from longtail.facts.schedules import Schedule
from longtail.facts.types import Progress
from longtail.functional.adjusted import Adjustment
from longtail.functional.mixtures import Value
from longtail.functional.softmax import prior_offset
from longtail.losses.adjusted import Adjusted
from longtail.losses.logit_adjusted import prior_constants
from longtail.losses.loss import Loss
from longtail.losses.signature import Common


class VSLoss(Adjusted):
    """l(z, y) = -log softmax(b z + tau log pi)_y, b_j = (n_j / n_max)^gamma, pi_j = n_j / N.

    gamma = 0 is logit adjustment, tau = 0 class-dependent temperatures. The logits are adjusted in training only:
    predict with argmax z (`scores`), and softmax(z) is the model of balanced classes, as for logit adjustment.
    Consistent for the balanced error at gamma = 0, tau = 1 only; gamma > 0 matters where the training set
    is fitted without error.

    `BinaryVSLoss` is the paper's other form, for two classes. With gamma=switch(0.8, gamma, 0),
    reweight=switch(0.8, 0, 1) and class_weight=class_weights.power(n, nu) it is VS + TLA + ADRW: the factor is
    truncated to 1 when the weights pi^-nu come in.

    Args:
        class_counts: n (C,).
        gamma: >= 0, scheduled or not; so large that the factor of the smallest class is 0, it is refused.
        tau: >= 0, scheduled or not.
        common: as in `Loss`. With zero_count="mask" an empty class leaves the denominator, gets no gradient, and
            targets on it do not count.

    Reference: Kini et al., Label-Imbalanced and Group-Sensitive Classification under Overparameterization, NeurIPS
    2021, section 2; Wang et al., A Unified Generalization Analysis of Re-Weighting and Logit-Adjustment for
    Imbalanced Learning, NeurIPS 2023 (TLA, ADRW).
    """

    gamma: float | Schedule

    def __init__(
        self, class_counts: Any = None, *, gamma: NonNegative = 0.3, tau: NonNegative = 1.0, **common: Unpack[Common]
    ) -> None:
        super().__init__(class_counts, {"gamma": gamma, "tau": tau}, **common)

    def statistics(self, counts: Tensor | None) -> dict[str, Tensor]:
        """n / n_max and log pi."""
        return _constants(self.counted(counts), self.zero_count, self.gamma)

    def adjustment(self, like: Tensor, progress: Progress | None) -> Adjustment:
        """b = (n / n_max)^gamma, o = tau log pi."""
        return _adjustment(self, like, self.knob("gamma", progress), self.knob("tau", progress))


class BinaryVSLoss(Loss):
    """l(z, y) = log(1 + e^(o_k - o_y - b_y (z_y - z_k))), b_j = (n_j / n_max)^gamma, o = tau log pi, k the other class.

    The form of `VSLoss` for two classes: one factor, the true class's, on the difference of the logits. It is
    another loss than `VSLoss` of two classes, in which z_y and z_k have factors of their own; at gamma = 0 they agree.
    Predict with argmax z.

    Args:
        class_counts: n (2,).
        gamma: >= 0, scheduled or not; so large that the factor of the smallest class is 0, it is refused.
        tau: >= 0, scheduled or not.
        common: as in `Loss`.

    Raises:
        ValueError: other than two classes.

    Reference: Kini et al., Label-Imbalanced and Group-Sensitive Classification under Overparameterization, NeurIPS
    2021, section 2.
    """

    gamma: float | Schedule

    def __init__(
        self, class_counts: Any = None, *, gamma: NonNegative = 0.3, tau: NonNegative = 1.0, **common: Unpack[Common]
    ) -> None:
        super().__init__(class_counts, {"gamma": gamma, "tau": tau}, **common)

    def statistics(self, counts: Tensor | None) -> dict[str, Tensor]:
        """n / n_max and log pi."""
        counts = self.counted(counts)
        if len(counts) != 2:
            raise ValueError(
                f"class_counts of a BinaryVSLoss must be of two classes, got {len(counts)}; use VSLoss for more"
            )
        return _constants(counts, self.zero_count, self.gamma)

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """The logistic loss of the scaled and shifted lead of the true class."""
        by = _adjustment(self, logits, self.knob("gamma", progress), self.knob("tau", progress))
        factors, offsets = cast("tuple[Tensor, Tensor]", by[:2])
        return functional.binary_vector_scaled(logits, targets, factors, offsets, ignore_index=self.ignore_index)


class CDTLoss(Adjusted):
    """l(z, y) = -log softmax(b z)_y, b_j = (n_j / n_max)^gamma: class-dependent temperatures 1 / b.

    A rare class's logit is shrunk in training, so that the network must raise it; predict with argmax z (`scores`),
    without the temperatures. `VSLoss` at tau = 0. Not consistent for the balanced error.

    Args:
        class_counts: n (C,).
        gamma: >= 0, scheduled or not; 0 is cross-entropy; too large a value is refused as in `VSLoss`.
        common: as in `Loss`; zero_count="mask" as in `VSLoss`.

    Reference: Ye et al., Identifying and Compensating for Feature Deviation in Imbalanced Deep Learning, 2020,
    section 4.
    """

    gamma: float | Schedule

    def __init__(self, class_counts: Any = None, *, gamma: NonNegative = 0.2, **common: Unpack[Common]) -> None:
        super().__init__(class_counts, {"gamma": gamma}, **common)

    def statistics(self, counts: Tensor | None) -> dict[str, Tensor]:
        """n / n_max; and log pi where it masks an empty class."""
        constants = _constants(self.counted(counts), self.zero_count, self.gamma)
        return constants if "outside" in constants else {"relative_counts": constants["relative_counts"]}

    def adjustment(self, like: Tensor, progress: Progress | None) -> Adjustment:
        """b = (n / n_max)^gamma."""
        return _adjustment(self, like, self.knob("gamma", progress), None if self.outside is None else 0.0)


def _adjustment(loss: Loss, like: Tensor, gamma: Value, tau: Value | None) -> Adjustment:
    def make() -> Adjustment:
        factor = loss.constant("relative_counts", like) ** gamma
        offset = None if tau is None else prior_offset(loss.constant("log_prior", like), tau)
        return Adjustment(factor, offset)

    return loss.cached("adjustment", like, (gamma, tau), make)


def _constants(counts: Tensor, zero_count: str | float, gamma: float | Schedule) -> dict[str, Tensor]:
    relative = functional.relative_counts(counts, zero_count=zero_count, dtype=torch.float64)
    rarest = float(relative[relative > 0].min())
    for value in gamma.values() if isinstance(gamma, Schedule) else (gamma,):
        if rarest**value < torch.finfo(torch.float32).tiny:
            most = math.log(torch.finfo(torch.float32).tiny) / math.log(rarest)
            raise ValueError(
                f"gamma must be at most {math.floor(most)} with these class_counts, or the smallest class has logits "
                f"multiplied by 0, got {value}; 0.2 is usual"
            )
    return {"relative_counts": relative, **prior_constants(counts, zero_count)}
