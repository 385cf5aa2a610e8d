"""Losses of class indices on a GPU: one kernel for the loss, one for the gradient.

A small eager loss costs on a GPU what it takes to start its kernels, a large one its passes through memory. So the
rows are adjusted, evaluated, weighed and summed by one kernel, which reads the logits once and writes two numbers per
row; a second one writes the gradient and nothing else. Many rows take a third, for the sum over programs. No result
depends on the order in which programs run.

The kernels are in `longtail.functional.kernels` and need Triton, which the CUDA builds of torch bring. Where it does
not run, and wherever the operations of a loss have to be visible, as in `closed_form`, the formula runs.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from longtail.functional import launch
from longtail.functional.index_loss import IndexLoss, value_and_gradient_suffice
from longtail.functional.launch import EACH, SUM, Reduce
from longtail.functional.mixtures import is_soft, of_target, widen

INTERPRETED = False
"""Whether the kernels run on a CPU, too, in Triton's interpreter; for tests."""

DTYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
PLAIN = {Tensor, torch.nn.Parameter}
"""Types of tensors that surely have values, and no operations of their own."""


def runs(loss: IndexLoss, logits: Tensor, targets: Tensor) -> bool:
    """Whether the kernels compute this loss of these tensors."""
    return (
        not torch.compiler.is_compiling()
        and (logits.is_cuda or INTERPRETED)
        and logits.ndim == 2
        and not is_soft(targets)
        and logits.numel() > 0
        and logits.dtype in DTYPES
        and targets.device == logits.device
        and type(logits) in PLAIN
        and type(targets) in PLAIN
        and loss.fits(logits.shape[1])
        and value_and_gradient_suffice(logits, loss.constants())
        and launch.works(loss, logits)
    )


def each(loss: IndexLoss, logits: Tensor, targets: Tensor) -> Tensor:
    """Return l (N,), 0 where ignored."""
    losses = evaluate(loss, logits, targets)[1]
    assert losses is not None
    return losses


def evaluate(
    loss: IndexLoss,
    logits: Tensor,
    targets: Tensor,
    weight: Tensor | None = None,
    by: Reduce = EACH,
    *,
    with_losses: bool = False,
) -> tuple[Tensor | None, Tensor | None]:
    """Return sum_i w_{y_i} l(z_i, y_i) over what is not ignored, divided as `by` says, and w_{y_i} l(z_i, y_i), (N,).

    Args:
        loss: l.
        logits: (N, C).
        targets: class indices (N,).
        weight: w (C,), without gradient; None for ones.
        by: EACH: no sum, but None. SUM; BY_WEIGHTS: divided by sum_i w_{y_i}; BY_ROWS: by the number of rows; 0 where
            nothing counts.
        with_losses: whether the losses behind the sum are returned, too; None otherwise.
    """
    both = _Kernels.apply(logits, targets, loss, weight, by, with_losses or by == EACH)  # type: ignore[no-untyped-call]
    return cast("tuple[Tensor | None, Tensor | None]", both)


def share_of_each(value: Tensor, losses: Tensor) -> Tensor | None:
    """Return d value / d losses, 0-dim and the same for all, where `evaluate` returned both; None where it did not.

    Both come out of one kernel, so that the graph has no way from one to the other.
    """
    if value.grad_fn is not losses.grad_fn or not isinstance(value.grad_fn, _Kernels._backward_cls):
        return None
    node: Any = value.grad_fn
    inverse = node.saved_tensors[2][0]  # of the divisor
    return inverse if node.rest[2] > SUM else torch.ones_like(inverse)


class _Kernels(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        targets: Tensor,
        loss: IndexLoss,
        weight: Tensor | None,
        by: Reduce,
        with_losses: bool,
    ) -> tuple[Tensor | None, Tensor | None]:
        with launch.on_device_of(logits):
            value, losses, saved = launch.forward(logits, targets, loss, weight, by, with_losses)
        ctx.save_for_backward(logits, targets, saved)
        ctx.rest = loss, weight, by
        ctx.set_materialize_grads(False)
        return value, losses

    @staticmethod
    def backward(ctx: Any, of_value: Tensor | None, of_losses: Tensor | None) -> tuple[Tensor | None, ...]:
        logits, targets, saved = ctx.saved_tensors
        loss, weight, by = ctx.rest
        if torch.is_grad_enabled():  # for a second derivative
            losses = _by_formula(logits, targets, loss, weight)
            value = losses.sum() * saved[0] if by > SUM else losses.sum()
            given = [(o, g) for o, g in ((value, of_value), (losses, of_losses)) if g is not None]
            outputs, upstream = zip(*given, strict=True)
            return (*torch.autograd.grad(outputs, logits, upstream, create_graph=True), None, None, None, None, None)
        g, mean = of_value, by > SUM
        if of_losses is not None:
            g = of_losses if g is None else of_losses + (g * saved[0] if mean else g)
            mean = False
        with launch.on_device_of(logits):
            slope = None if g is None else launch.gradient(g, logits, targets, saved, loss, weight, mean=mean)
        return slope, None, None, None, None, None


def _by_formula(logits: Tensor, targets: Tensor, loss: IndexLoss, weight: Tensor | None) -> Tensor:
    targets = targets.long()
    losses = loss.formula(widen(logits), targets)
    return losses if weight is None else losses * of_target(weight, targets, loss.ignore_index)
