"""Sharpness-aware minimisation: the gradient at the worst point nearby."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, final

import torch
from torch import Tensor

from longtail.facts.knobs import Knob, Range
from longtail.facts.learner import Learner
from longtail.facts.schedules import at
from longtail.facts.types import Batch, Progress, Step
from longtail.updates.descend import StatelessUpdate
from longtail.updates.randomness import restored_generators

EPS = 1e-12
RHO = Range(0, open_high=True)


@final
class SAM(StatelessUpdate):
    """Descend with the gradient at w + e, the point within distance rho where the loss is about the largest.

    e = rho g / (||g|| + 1e-12), g the gradient at w;
    adaptive: e = rho w^2 g / (|| |w| g || + 1e-12), elementwise but for the norm.

    One norm over all trained parameters, biases and batch norms among them; weight decay is the optimiser's and not in
    g. The second pass has the batch, the random numbers (dropout) and the instance weights of the first, and changes no
    buffer: running statistics of batch norms, targets and weights are those of the first pass, and so is the returned
    step. rho = 0 is the plain step, bit for bit.

    Args:
        rho: >= 0, scheduled or not.
        adaptive: whether the neighbourhood scales with the parameters.

    Reference: Foret et al., Sharpness-Aware Minimization for Efficiently Improving Generalization, ICLR 2021,
    eq. 2-3 with p = 2; adaptive: Kwon et al., ASAM, ICML 2021, eq. 8.
    """

    restores_generators = True
    """A step that draws random numbers cannot be captured as a CUDA graph (`updates.randomness`)."""

    def __init__(self, rho: Annotated[Knob, RHO] = 0.05, *, adaptive: bool = False) -> None:
        RHO.check("rho", rho)
        self.rho, self.adaptive = rho, adaptive

    def __call__(self, learner: Learner, batch: Batch, optimizer: torch.optim.Optimizer, progress: Progress) -> Step:
        """Make one optimiser step from two passes and return what the first one computed."""
        optimizer.zero_grad(set_to_none=True)
        with restored_generators(learner):
            step = learner.training_step(batch, progress)
            step.loss.backward()  # type: ignore[no-untyped-call]
        moved = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        before = [p.detach().clone() for p in moved]
        self._climb(moved, at(self.rho, progress, "rho"))
        optimizer.zero_grad(set_to_none=True)
        with learner.held(again=True):
            learner.training_step(batch, progress).loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for p, w in zip(moved, before, strict=True):
                p.copy_(w)
        optimizer.step()
        return step

    @torch.no_grad()
    def _climb(self, parameters: Sequence[Tensor], rho: float | Tensor) -> None:
        """Add e to the parameters, from their gradients."""
        scales = [p.abs() if self.adaptive else torch.ones_like(p) for p in parameters]
        scaled = [t * p.grad for t, p in zip(scales, parameters, strict=True)]  # type: ignore[operator]
        norm = torch.nn.utils.get_total_norm(scaled) + EPS
        for p, t, g in zip(parameters, scales, scaled, strict=True):
            p.add_(t * g * (rho / norm))
