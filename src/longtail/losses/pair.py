"""What losses of two views share: knobs that may be schedules, checks of a call, and the reduction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from longtail.facts import checks, knobs
from longtail.facts.schedules import at
from longtail.facts.types import Progress
from longtail.losses.reduction import Reduction
from longtail.losses.shapes import check_progress


class PairLoss(nn.Module, ABC):
    """A loss of two matrices of projections (N, D), whose rows are two views of the same examples.

    It knows no classes, has no state, and computes in float32, or float64 for float64 projections, under autocast too.
    Shapes are checked on every call, that projections are finite only inside `longtail.checks.strict()`.

    Args:
        own: knobs by name, checked against the annotations of the constructor.
        reduction: "mean", "sum" or "none".
    """

    def __init__(self, own: Mapping[str, Any], reduction: Reduction) -> None:
        super().__init__()
        knobs.check(type(self), {**own, "reduction": reduction})
        self._own = tuple(own)
        for name, value in own.items():
            setattr(self, name, value)
        self.reduction = reduction

    @abstractmethod
    def per_example(self, *tensors: Any, **named: Any) -> Tensor:
        """Slot: the loss of every example, (N,), from two matrices (N, D), what else it reads, and `progress`."""

    def forward(self, *tensors: Any, progress: Progress | None = None, **named: Any) -> Tensor:
        """Return the mean or the sum of `per_example`, which has the same arguments, or (N,) for "none".

        Raises:
            TypeError: a scheduled knob without progress, or projections that are no floating-point tensors.
            ValueError: shapes that do not fit, progress outside [0, 1].
        """
        losses = self.per_example(*tensors, progress=progress, **named)
        if self.reduction == "none":
            return losses
        return losses.mean() if self.reduction == "mean" else losses.sum()

    def knob(self, name: str, progress: Progress | None) -> Any:
        """Return the value of a knob at `progress`."""
        return at(getattr(self, name), progress, name)

    def extra_repr(self) -> str:
        """The loss's own knobs, and the reduction where it is no mean."""
        shown = [f"{name}={getattr(self, name)!r}" for name in self._own]
        return ", ".join(shown + [f"reduction={self.reduction!r}"] * (self.reduction != "mean"))


def check_projections(progress: Progress | None, **named: Tensor) -> None:
    """Check the progress, and that projections are floating-point tensors; in strict mode, that they are finite."""
    check_progress(progress)
    for name, rows in named.items():
        if not isinstance(rows, Tensor) or not rows.is_floating_point():
            kind = rows.dtype if isinstance(rows, Tensor) else type(rows).__name__
            raise TypeError(f"{name} must be a floating-point tensor (N, D), got {kind}; pass the projector's outputs")
        if not torch.compiler.is_compiling() and checks.is_strict():
            checks.finite(rows, name)
