"""The gradient of a float16 network, multiplied by a scale inside of it and divided by the scale on its way out.

float16 has no numbers between 0 and 6e-8, and gradients of activations are that small. The factors are S where the
gradient enters the body and 1/S where it reaches the parameters, in float32 both. So every gradient outside of the body
is the true one, whatever is done with it: `backward`, `torch.autograd.grad`, a second derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

START = 2.0**16
"""The scale to begin with, as in `torch.amp.GradScaler`."""


class Scaled(torch.autograd.Function):
    """x -> x, whose gradient is multiplied by a scale (0-dim) that has its value of the backward pass."""

    @staticmethod
    def forward(x: Tensor, scale: Tensor) -> Tensor:
        """Return x."""
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Any) -> None:
        """Keep the scale itself and not its present value, which both functions must have in common."""
        ctx.scale = inputs[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Multiply by the scale."""
        return gradients[0] * ctx.scale, None


class Unscaled(torch.autograd.Function):
    """(x, y, ...) -> (x, y, ...), whose gradients are divided by a scale, a power of two: exactly."""

    @staticmethod
    def forward(scale: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return the tensors."""
        return tuple(t.view_as(t) for t in tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Any) -> None:
        """Keep the scale; what has no gradient gets None, not zeros: its parameter takes part in no step."""
        ctx.scale = inputs[0]
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Divide by the scale, all gradients by one operation."""
        divided = iter(torch._foreach_mul([g for g in gradients if g is not None], ctx.scale.reciprocal()))
        return None, *(None if g is None else next(divided) for g in gradients)


def scaled_call(body: nn.Module, x: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """Return body(x) under autocast, as x's dtype, with the gradient times `scale` inside of the body alone."""
    names, parameters = _trained(body)
    with torch.autocast(x.device.type, dtype):
        if x.requires_grad:  # a copy, since a body may change its input in place
            x = Unscaled.apply(scale, x)[0].clone()  # type: ignore[no-untyped-call]
        unscaled = Unscaled.apply(scale, *parameters) if parameters else ()  # type: ignore[no-untyped-call]
        features: Tensor = torch.func.functional_call(body, dict(zip(names, unscaled, strict=True)), (x,))
    return Scaled.apply(features.to(x.dtype), scale)  # type: ignore[no-untyped-call, no-any-return]


def _trained(body: nn.Module) -> tuple[Sequence[str], Sequence[Tensor]]:
    """Return names and parameters that need a gradient, each once: `functional_call` replaces its other names too."""
    named = [(name, p) for name, p in body.named_parameters() if p.requires_grad]
    return [name for name, _ in named], [p for _, p in named]
