"""Slices of stacked tensors that compute, to the byte, what tensors of their own compute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

ALIGNMENT = 64
"""Bytes, as torch allocates: a matrix product of other addresses has other last bits on some processors."""


class SlicedLinear(torch.autograd.Function):
    """x (W, B, I), weight (W, O, I), bias (W, O) -> (W, B, O), each of the W products as `nn.Linear` computes it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Compute the W products one by one: a batched product has other last bits."""
        ctx.save_for_backward(x, weight)
        out = x.new_empty(*x.shape[:2], weight.shape[1])
        for o, x_i, w_i, b_i in zip(out.unbind(), x.unbind(), weight.unbind(), bias.unbind(), strict=True):
            _write(o, torch.addmm, b_i, aligned(x_i), aligned(w_i).t())
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Compute the gradients as the derivative of `addmm` does."""
        (x, weight), (gradient,) = ctx.saved_tensors, gradients
        of_weight, of_x = torch.empty_like(weight), None
        for o, g_i, x_i in zip(of_weight.unbind(), gradient.unbind(), x.unbind(), strict=True):
            _write(o, torch.mm, aligned(g_i).t(), aligned(x_i))
        if ctx.needs_input_grad[0]:
            of_x = torch.empty_like(x)
            for o, g_i, w_i in zip(of_x.unbind(), gradient.unbind(), weight.unbind(), strict=True):
                _write(o, torch.mm, aligned(g_i), aligned(w_i))
        return of_x, of_weight, gradient.sum(1)


def aligned(matrix: Tensor) -> Tensor:
    """Return a slice where it begins as a tensor of its own would, else a copy."""
    return matrix if matrix.data_ptr() % ALIGNMENT == 0 else matrix.clone()


def _write(out: Tensor, product: Callable[..., Tensor], *matrices: Tensor) -> None:
    """Write a product into a slice, from memory of its own where the slice begins elsewhere."""
    if out.data_ptr() % ALIGNMENT == 0:
        product(*matrices, out=out)
    else:
        out.copy_(product(*matrices))


def aligned_slices(tensors: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
    """Return a stack of tensors and each as its slice, aligned; zeros are below those with fewer rows than others."""
    shape = max((t.shape for t in tensors), key=lambda shape: tuple(shape)[:1])
    numbers = ALIGNMENT // tensors[0].element_size()
    memory = tensors[0].new_zeros(len(tensors), -(-shape.numel() // numbers) * numbers)
    stack = memory[:, : shape.numel()].view(len(tensors), *shape)
    slices = [one[: len(t)] if t.ndim else one for one, t in zip(stack.unbind(), tensors, strict=True)]
    for one, t in zip(slices, tensors, strict=True):
        one.copy_(t)
    return stack, slices
