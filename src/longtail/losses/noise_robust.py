"""Losses on which a wrong label has less effect: generalised, symmetric and bootstrapped cross-entropy."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Unpack

from torch import Tensor

from longtail import functional
from longtail.facts.knobs import Fraction, Knob, NonNegative, Range
from longtail.facts.schedules import Schedule
from longtail.facts.types import Progress
from longtail.functional.adjusted import NONE, Adjustment
from longtail.functional.noise_robust import FLOOR, LABEL_FLOOR
from longtail.losses.adjusted import Adjusted
from longtail.losses.signature import Common

BELOW_ONE = Range(0, 1, open_high=True)
Truncation = Annotated[Knob, BELOW_ONE]
LabelFloor = Annotated[float, Range(0, 1, open_low=True)]
Floor = Annotated[float, BELOW_ONE]
SOFT, HARD = 0.95, 0.8
"""Share of the given label in soft and in hard bootstrapping, as in the paper."""


class GeneralizedCrossEntropyLoss(Adjusted):
    """l(z, y) = (1 - p^q) / q, p = softmax(z)_y; with k: [p > k] ((1 - p^q) / q - (1 - k^q) / q), its bracket held.

    q = 0 is cross-entropy and q = 1 is 1 - p, half of the mean absolute error: the larger q, the less an example with a
    small p weighs in the gradient, p^q times its weight in cross-entropy. Truncated, examples with p <= k have loss 0
    and no gradient, and the others a loss below 0; where all have p <= k nothing is learnt, as at the start of a
    training. So let k begin late, `k=switch(1/3, 0, 0.5)`. Here p is the present one; `targets.Truncated` computes
    the brackets of all rows now and then, as the paper does. The mean divides by the batch.

    Args:
        class_counts: n (C,), for a named class weight.
        q: in [0, 1], scheduled or not.
        k: in [0, 1), scheduled or not; None or 0 truncates nothing. The paper has 0.5.
        common: as in `Loss`. A soft target is the mixture of these losses.

    Reference: Zhang and Sabuncu, Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels,
    NeurIPS 2018, eq. 6 and section 3.3.
    """

    DIVIDES_BY: ClassVar[str] = "batch"
    q: float | Schedule
    k: float | Schedule | None

    def __init__(
        self, class_counts: Any = None, *, q: Fraction = 0.7, k: Truncation | None = None, **common: Unpack[Common]
    ) -> None:
        super().__init__(class_counts, {"q": q, "k": k}, **common)

    def adjustment(self, like: Tensor, progress: Progress | None) -> Adjustment | None:
        """None, as of cross-entropy, where q is 0 and nothing is truncated."""
        return NONE if _is(self.q, 0) and (self.k is None or _is(self.k, 0)) else None

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """(1 - p^q) / q, truncated."""
        q = self.knob("q", progress)
        k = None if self.k is None else self.knob("k", progress)
        return functional.generalised_cross_entropy(logits, targets, q, k, ignore_index=self.ignore_index)


class SymmetricCrossEntropyLoss(Adjusted):
    """l(z, y) = -alpha log p_y - beta A sum_{k != y} max(p_k, floor), A = log label_floor, p = softmax(z).

    The second term is the reverse cross-entropy -sum_k p_k log onehot(y)_k, with A in place of log 0: up to its factor
    the mean absolute error 1 - p_y, which is bounded. Probabilities below `floor` have no gradient there. beta = 0 is
    alpha times cross-entropy. The mean divides by the batch.

    Args:
        class_counts: n (C,), for a named class weight.
        alpha, beta: >= 0, scheduled or not; not both 0. The released code has 0.1 and 1 for CIFAR-10, 6 and 0.1 for
            CIFAR-100: the more classes, the larger alpha.
        label_floor: in (0, 1]; 1e-4 as in the released code, A = -9.21; the paper's text speaks of A = -4 (0.0183).
        floor: in [0, 1); 1e-7 as in the released code.
        common: as in `Loss`. A soft target, and so label smoothing, is the mixture of these losses: it is not put into
            the logarithm.

    Raises:
        ValueError: alpha and beta are 0.

    Reference: Wang et al., Symmetric Cross Entropy for Robust Learning with Noisy Labels, ICCV 2019, eq. 4-7.
    """

    DIVIDES_BY: ClassVar[str] = "batch"
    alpha: float | Schedule
    beta: float | Schedule
    label_floor: float
    floor: float

    def __init__(
        self,
        class_counts: Any = None,
        *,
        alpha: NonNegative = 0.1,
        beta: NonNegative = 1.0,
        label_floor: LabelFloor = LABEL_FLOOR,
        floor: Floor = FLOOR,
        **common: Unpack[Common],
    ) -> None:
        own = {"alpha": alpha, "beta": beta, "label_floor": label_floor, "floor": floor}
        super().__init__(class_counts, own, **common)
        if _is(alpha, 0) and _is(beta, 0):
            raise ValueError("alpha and beta must not both be 0, got 0 and 0; alpha=1, beta=0 is cross-entropy")

    def adjustment(self, like: Tensor, progress: Progress | None) -> Adjustment | None:
        """None, as of cross-entropy, where alpha is 1 and beta 0."""
        return NONE if _is(self.alpha, 1) and _is(self.beta, 0) else None

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """Both terms."""
        return functional.symmetric_cross_entropy(
            logits,
            targets,
            self.knob("alpha", progress),
            self.knob("beta", progress),
            label_floor=self.label_floor,
            floor=self.floor,
            ignore_index=self.ignore_index,
        )


class BootstrappedLoss(Adjusted):
    """l(z, y) = -b log p_y - (1 - b) sum_k t_k log p_k, p = softmax(z); t = p (soft) or onehot(argmax p) (hard).

    The network's own belief t stands in for a part of the label. Soft: by default the gradient goes through t, too, as
    in the paper's equation, where t is no constant: the second term is the entropy of p, so that a network is made
    surer of what it believes. `detach=True` takes t for a fixed target: then that term has no gradient, p - t being 0,
    and what is left is b times that of cross-entropy. b = 1 is cross-entropy.

    Args:
        class_counts: n (C,), for a named class weight.
        b: in [0, 1], scheduled or not; by default the paper's 0.95 for soft and 0.8 for hard.
        hard: which form.
        detach: whether t is constant in the gradient; of the hard form it always is.
        common: as in `Loss`.

    Reference: Reed et al., Training Deep Neural Networks on Noisy Labels with Bootstrapping, ICLR 2015 workshop, eq. 6
    and 7.
    """

    b: float | Schedule
    hard: bool
    detach: bool

    def __init__(
        self,
        class_counts: Any = None,
        *,
        b: Fraction | None = None,
        hard: bool = False,
        detach: bool = False,
        **common: Unpack[Common],
    ) -> None:
        share = (HARD if hard else SOFT) if b is None else b
        super().__init__(class_counts, {"b": share, "hard": hard, "detach": detach}, **common)

    def adjustment(self, like: Tensor, progress: Progress | None) -> Adjustment | None:
        """None, as of cross-entropy, where b is 1."""
        return NONE if _is(self.b, 1) else None

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """Both terms."""
        b = self.knob("b", progress)
        return functional.bootstrapped(
            logits, targets, b, hard=self.hard, detach=self.detach, ignore_index=self.ignore_index
        )


def _is(knob: float | Schedule | None, value: float) -> bool:
    return not isinstance(knob, Schedule) and knob == value
