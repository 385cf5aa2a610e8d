"""The worst point nearby: parameters moved along their gradient by a given distance, and moved back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from longtail.facts.knobs import Knob, Range
from longtail.facts.learner import Learner
from longtail.facts.schedules import at
from longtail.facts.types import Progress

EPS = 1e-12
RHO = Range(0, open_high=True)
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
"""Layers that normalise; their parameters are those that `norms=False` leaves where they are."""


@dataclass(frozen=True)
class Perturbation:
    """e = rho T^2 g / (||T g|| + 1e-12), elementwise but for the norm; g the gradient at w.

    T = 1; adaptive: T = |w| + eta. One norm over all parameters that move.

    Args:
        rho: >= 0, scheduled or not.
        adaptive: whether the neighbourhood scales with the parameters.
        eta: >= 0, with `adaptive`.
        biases: with `adaptive`, whether T is that of all parameters, or 1 for those whose name has no "weight" in it.
        norms: whether parameters of normalisation layers move, too.
        decay: whether g has the optimiser's weight decay in it, g + weight_decay w.
    """

    rho: Knob = 0.05
    adaptive: bool = False
    eta: float = 0.0
    biases: bool = True
    norms: bool = True
    decay: bool = False

    def __post_init__(self) -> None:
        RHO.check("rho", self.rho)
        RHO.check("eta", self.eta)
        if self.eta and not self.adaptive:
            raise ValueError(f"eta must be 0 where adaptive is False, got {self.eta:g}; pass adaptive=True")

    @contextmanager
    def applied(
        self, learner: Learner, optimizer: torch.optim.Optimizer, progress: Progress, *, finite: bool = False
    ) -> Iterator[None]:
        """Inside, parameters with a gradient are at w + e, without gradients; on exit at w, to the bit.

        Args:
            learner: whose parameters they are.
            optimizer: of the parameters.
            progress: where rho is a schedule.
            finite: whether e is 0 where it is not finite, after an overflow of g.
        """
        moved, gradients = self._moved(learner, optimizer)
        before = [p.detach().clone() for p in moved]
        with torch.no_grad():
            for p, e in zip(moved, self._e(learner, moved, gradients, progress), strict=True):
                p.add_(torch.nan_to_num(e, 0.0, 0.0, 0.0) if finite else e)
        torch.clear_autocast_cache()  # of an autocast around the step: it has the parameters' copies from before
        optimizer.zero_grad(set_to_none=True)
        try:
            yield
        finally:
            with torch.no_grad():
                for p, w in zip(moved, before, strict=True):
                    p.copy_(w)
            torch.clear_autocast_cache()

    def _moved(self, learner: Learner, optimizer: torch.optim.Optimizer) -> tuple[list[Any], list[Tensor]]:
        still = set()
        if not self.norms:
            still = {id(p) for m in learner.modules() if isinstance(m, NORMS) for p in m.parameters()}
        moved, gradients = [], []
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None and id(p) not in still:
                    decay = group.get("weight_decay", 0.0) if self.decay else 0.0
                    moved.append(p)
                    gradients.append(p.grad.add(p.detach(), alpha=decay) if decay else p.grad)
        return moved, gradients

    def _e(
        self, learner: Learner, parameters: Sequence[Any], gradients: Sequence[Tensor], progress: Progress
    ) -> list[Tensor]:
        scales: list[Tensor | None] = [None] * len(parameters)
        if self.adaptive:
            plain = set()
            if not self.biases:
                names = ((name.rpartition(".")[2], p) for name, p in learner.named_parameters())
                plain = {id(p) for name, p in names if "weight" not in name}
            scales = [None if id(p) in plain else p.abs() + self.eta if self.eta else p.abs() for p in parameters]
        scaled = [g if t is None else t * g for t, g in zip(scales, gradients, strict=True)]
        factor = at(self.rho, progress, "rho") / (torch.nn.utils.get_total_norm(scaled) + EPS)
        return [(g if t is None else t * g) * factor for t, g in zip(scales, scaled, strict=True)]
