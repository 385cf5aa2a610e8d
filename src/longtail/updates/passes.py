"""The passes of a step: backward over a batch or its micro-batches, and the part of a loss that some rows have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn

from longtail.facts.learner import Learner
from longtail.facts.types import Batch, Progress, Step
from longtail.functional.gpu import share_of_each

Part = Callable[[Step], Tensor]
"""A step -> the scalar whose gradient is taken."""


class RowWeights(Protocol):
    """Weights of the rows of a step."""

    def __call__(self, step: Step) -> Tensor:
        """Return weights (B,) >= 0 for `step.losses`."""
        ...


@final
class ByClass:
    """The weight of each row's class.

    Args:
        weights: (C,).
    """

    def __init__(self, weights: Tensor) -> None:
        self.weights = _checked(weights, "class", "(C,)")

    def __call__(self, step: Step) -> Tensor:
        """Return the weights (B,) of the step's targets.

        Raises:
            ValueError: the step has no class per row.
        """
        targets = step.targets
        if targets is None or targets.ndim != 1 or targets.is_floating_point():
            got = "none" if targets is None else f"{targets.dtype} of shape {tuple(targets.shape)}"
            raise ValueError(f"targets must be class indices (B,) for weights by class, got {got}; pass targets=")
        self.weights = self.weights.to(targets.device)
        return self.weights[targets.long()]


@final
class ByRow:
    """Given weights of the training rows.

    Args:
        weights: (N,), by the row's number in the training set; or a module that has them as its buffer `weights`, read
            in every step, so that they may change.
    """

    def __init__(self, weights: Tensor | nn.Module) -> None:
        self.weights = _checked(weights, "training row", "(N,)") if isinstance(weights, Tensor) else weights

    def __call__(self, step: Step) -> Tensor:
        """Return the weights (B,) of the step's rows.

        Raises:
            ValueError: the step does not say which rows it is of.
        """
        if step.rows is None:
            raise ValueError("rows must be the rows' numbers (B,) for weights by row, got none; pass rows=")
        if isinstance(self.weights, Tensor):
            self.weights = weights = self.weights.to(step.rows.device)
        else:
            weights = self.weights.get_buffer("weights")
        return weights[step.rows]


def _checked(weights: Tensor, each: str, shape: str) -> Tensor:
    if weights.ndim != 1 or not bool((weights >= 0).all()):
        raise ValueError(
            f"weights must be numbers >= 0, one per {each}, got shape {tuple(weights.shape)} with minimum "
            f"{float(weights.min()) if weights.numel() else float('nan'):g}; pass a tensor {shape}"
        )
    return weights


def micro_batches(batch: Batch | Sequence[Batch]) -> Sequence[Batch]:
    """Return the micro-batches whose mean loss is that of the step; a batch alone is one."""
    return batch if isinstance(batch, list | tuple) else [batch]  # type: ignore[list-item]


def trained(optimizer: torch.optim.Optimizer) -> list[Any]:
    """Return the parameters of an optimiser that have gradients."""
    return [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]


def losses_of(step: Step) -> Tensor:
    """Return the losses (B,) of a step.

    Raises:
        ValueError: it has the mean alone.
    """
    if step.losses is None:
        raise ValueError(
            "the loss must be one number per example for this kind of step, got their mean; return the losses (B,), "
            'as with reduction="none"'
        )
    return step.losses


def weighted(step: Step, weights: Tensor) -> Tensor:
    """Return sum_i a_i c_i l_i, c_i = d loss / d l_i: the step's loss where row i counts a_i (B,) times.

    c has all that the learner does with its losses: the mean, class weights' division, instance weights.
    """
    losses = losses_of(step)
    if weights.shape != losses.shape:
        raise ValueError(
            f"targets and rows must be of the losses' length, {tuple(losses.shape)}, got {tuple(weights.shape)}; pass "
            "those of the batch"
        )
    shares = share_of_each(step.loss, losses)
    if shares is None:
        (shares,) = torch.autograd.grad(step.loss, losses, retain_graph=True)
    return (weights.to(losses.dtype) * shares * losses).sum()


def whole(step: Step) -> Tensor:
    """Return the step's own loss."""
    return step.loss


def backward(learner: Learner, batch: Batch | Sequence[Batch], progress: Progress, part: Part = whole) -> Step:
    """Add the gradient of the mean of `part` over the micro-batches to the parameters' own, and return the step."""
    steps, batches = [], micro_batches(batch)
    for one in batches:
        step = learner.training_step(one, progress)
        loss = part(step)
        (loss if len(batches) == 1 else loss / len(batches)).backward()  # type: ignore[no-untyped-call]
        steps.append(step)
    return joined(steps)


def joined(steps: Sequence[Step]) -> Step:
    """Return the one step, or the mean loss of several micro-batches."""
    return steps[0] if len(steps) == 1 else Step(torch.stack([step.loss.detach() for step in steps]).mean())
