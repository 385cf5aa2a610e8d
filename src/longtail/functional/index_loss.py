"""A loss of class indices, per position: its formula, its constants, and whether anything has to see its operations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from longtail.functional.mixtures import Value

# torch has no public function for this; without it every loss would run by its formula, correct and slower
in_functorch = getattr(torch._C, "_are_functorch_transforms_active", lambda: True)


class Adjustment(NamedTuple):
    """a_j = b_j z_j + o_j + t_j [j = y]: the logits z of an example of class y, adjusted.

    factor: b, a number or (C,); None for 1. offset: o (C,), -inf for a class that leaves the denominator; None for 0.
    true_offset: t (C,), a margin with its sign changed; None for 0.
    """

    factor: Value | None = None
    offset: Tensor | None = None
    true_offset: Tensor | None = None


NONE = Adjustment()
"""No adjustment: cross-entropy."""


class IndexLoss(ABC):
    """A loss l(z, y) per position with its constants."""

    SIGMOID: ClassVar[bool] = False
    """Whether l is a sum over C sigmoids; otherwise a function of softmax(a)_y."""
    ignore_index: int
    adjustment: Adjustment = NONE
    gamma: Value | None = None
    """Exponent of the focal modulation; None for none."""

    @abstractmethod
    def formula(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return l for logits (N, C, d1..dk) and class indices (N, d1..dk); differentiable any number of times."""

    def constants(self) -> tuple[Value | None, ...]:
        """Return what the loss depends on besides logits and targets."""
        return (*self.adjustment, self.gamma)

    def fits(self, classes: int) -> bool:
        """Whether every constant is a number, or has one per class where it may: nothing is left to broadcasting."""
        factor, *offsets = self.adjustment
        one_for_all = isinstance(factor, Tensor) and factor.ndim == 0
        per_class = offsets if one_for_all else [factor, *offsets]
        return all(c.shape == (classes,) for c in per_class if isinstance(c, Tensor)) and (
            not isinstance(self.gamma, Tensor) or self.gamma.ndim == 0
        )


def value_and_gradient_suffice(logits: Tensor, constants: Iterable[Any]) -> bool:
    """Whether nothing but an eager loss and its gradient with respect to the logits is needed.

    Otherwise the operations have to be visible: to torch.func and forward-mode derivatives, and for constants that
    require a gradient. Constants on another device are left to torch's own rules.
    """
    return (
        not in_functorch()
        and (forward_ad._current_level < 0 or forward_ad.unpack_dual(logits).tangent is None)  # type: ignore[no-untyped-call]
        and not any(isinstance(c, Tensor) and (c.requires_grad or c.device != logits.device) for c in constants)
    )
