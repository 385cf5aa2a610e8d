"""Sharpness-aware minimisation: the gradient at the worst point nearby, of the whole loss or of some rows' part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, final

import torch
from torch import Tensor

from longtail.facts.knobs import Choice, Knob
from longtail.facts.learner import Learner
from longtail.facts.types import Batch, Progress, Step
from longtail.updates.descend import StatelessUpdate
from longtail.updates.passes import ByClass, RowWeights, backward, joined, micro_batches, trained, weighted
from longtail.updates.perturbation import RHO, Perturbation
from longtail.updates.randomness import restored_generators

STATISTICS = Choice(("first", "both"))


@final
class SAM(StatelessUpdate):
    """Descend with the gradient at w + e, the point within distance rho where the loss is about the largest.

    e = rho g / (||g|| + 1e-12), g the gradient at w;
    adaptive: e = rho T^2 g / (||T g|| + 1e-12), T = |w| + eta, elementwise but for the norm.

    One norm over all trained parameters, biases and batch norms among them. The second pass has the batch, the random
    numbers (dropout) and the instance weights of the first, and changes no buffer of norms, targets and
    weights: these are those of the first pass, and so is the returned step. rho = 0 is the plain step, bit for
    bit.

    With `ascent`, e climbs the loss in which row i counts a_i times, and the step descends the loss as it is: class
    weights 1 / n_j (`ByClass`) are SAM-A, given weights of rows (`ByRow`) rwSAM. A common factor of a cancels.

    Args:
        rho: >= 0, scheduled or not.
        adaptive: whether the neighbourhood scales with the parameters.
        eta, biases, norms, decay: as in `updates.Perturbation`: the offset of |w|; whether parameters without "weight"
            in their name are scaled; whether those of normalisation layers move; whether e has weight decay in it.
        statistics: the passes whose statistics batch norms record, "first" or "both".
        ascent: a step -> the weights a (B,) of its rows in the ascent.

    Reference: Foret et al., Sharpness-Aware Minimization for Efficiently Improving Generalization, ICLR 2021,
    eq. 2-3 with p = 2; adaptive: Kwon et al., ASAM, ICML 2021, eq. 8.
    """

    restores_generators = True
    """A step that draws random numbers cannot be captured as a CUDA graph (`updates.randomness`)."""

    def __init__(
        self,
        rho: Annotated[Knob, RHO] = 0.05,
        *,
        statistics: str = "first",
        ascent: RowWeights | None = None,
        **perturbation: Any,
    ) -> None:
        STATISTICS.check("statistics", statistics)
        self.perturbation = Perturbation(rho, **perturbation)
        self.statistics, self.ascent = statistics, ascent

    def __call__(
        self, learner: Learner, batch: Batch | Sequence[Batch], optimizer: torch.optim.Optimizer, progress: Progress
    ) -> Step:
        """Make one optimiser step from two passes and return what the first one computed."""
        optimizer.zero_grad(set_to_none=True)
        with restored_generators(learner):
            step = backward(learner, batch, progress, *(() if self.ascent is None else (self._climbed,)))
        first = self.statistics == "first"
        with (
            self.perturbation.applied(learner, optimizer, progress, finite=not first),
            learner.held(again=True, norms=first),
        ):
            backward(learner, batch, progress)
        optimizer.step()
        return step

    def _climbed(self, step: Step) -> Tensor:
        assert self.ascent is not None
        return weighted(step, self.ascent(step))


@final
class ImbSAM(StatelessUpdate):
    """Sharpness-aware minimisation of the rare classes' part of the loss, plain descent of the rest.

    loss = L_head(w) + k L_tail(w + e), e = rho g / (||g|| + 1e-12), g the gradient of L_tail at w.

    L_head and L_tail are the parts that rows of frequent and of rare classes have in the batch's loss, divided as that
    is. One forward and two backward passes at w, one of each at w + e. Without rows of rare classes e = 0. All else is
    as in `SAM`.

    Args:
        tail: bool (C,), the rare classes.
        rho: >= 0, scheduled or not.
        weight: k > 0.
        statistics: the passes whose statistics batch norms record, "first" or "both".
        perturbation: adaptive, eta, biases, norms, decay, as in `updates.Perturbation`.

    Raises:
        ValueError: no class is rare.

    Reference: Zhou et al., ImbSAM: A Closer Look at Sharpness-Aware Minimization in Class-Imbalanced Recognition,
    ICCV 2023.
    """

    restores_generators = True

    def __init__(
        self,
        tail: Tensor,
        rho: Annotated[Knob, RHO] = 0.05,
        *,
        weight: float = 1.0,
        statistics: str = "first",
        **perturbation: Any,
    ) -> None:
        STATISTICS.check("statistics", statistics)
        if tail.dtype != torch.bool or tail.ndim != 1 or not bool(tail.any()):
            raise ValueError(f"tail must be bool (C,) and name a class at least, got {tail.tolist()}; see class_counts")
        if not 0 < weight < float("inf"):
            raise ValueError(f"weight must be > 0, got {weight}; 1 is the published loss")
        self.perturbation, self.statistics, self.weight = Perturbation(rho, **perturbation), statistics, weight
        self.tail, self.head = ByClass(tail.float()), ByClass((~tail).float())

    def __call__(
        self, learner: Learner, batch: Batch | Sequence[Batch], optimizer: torch.optim.Optimizer, progress: Progress
    ) -> Step:
        """Make one optimiser step from two passes and return what the first one computed."""
        optimizer.zero_grad(set_to_none=True)
        parameters, batches = trained(optimizer), micro_batches(batch)
        head: list[Tensor | None] = [None] * len(parameters)
        steps = []
        with restored_generators(learner):
            for one in batches:
                steps.append(step := learner.training_step(one, progress))
                loss = weighted(step, self.head(step)) / len(batches)
                found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
                head = [_sum(a, b) for a, b in zip(head, found, strict=True)]
                (weighted(step, self.tail(step)) / len(batches)).backward()  # type: ignore[no-untyped-call]
        first = self.statistics == "first"
        with (
            self.perturbation.applied(learner, optimizer, progress, finite=not first),
            learner.held(again=True, norms=first),
        ):
            backward(learner, batch, progress, self._tail)
        for p, g in zip(parameters, head, strict=True):
            p.grad = _sum(g, p.grad)
        optimizer.step()
        return joined(steps)

    def _tail(self, step: Step) -> Tensor:
        return weighted(step, self.weight * self.tail(step))


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b
