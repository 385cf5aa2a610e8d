"""The gradient of a float16 network, multiplied by a scale inside of it and divided by the scale on its way out.

float16 has no numbers between 0 and 6e-8, and gradients of activations are that small. The factors are S where the
gradient enters the body and 1/S where it reaches the parameters, in float32 both. So every gradient outside of the body
is the true one, whatever is done with it: `backward`, `torch.autograd.grad`, a second derivative.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

START = 2.0**16
"""The scale to begin with, as in `torch.amp.GradScaler`."""


class Scaled(torch.autograd.Function):
    """x -> x, whose gradient is multiplied by a scale (0-dim) that has its value of the backward pass.

    With `times`: x -> scale x, whose gradient is left as it is. Each is the derivative of the other, so that second
    derivatives are true ones, too: inside of the body, a stored derivative is the scale times the derivative with
    respect to what is stored.
    """

    @staticmethod
    def forward(scale: Tensor, times: bool, x: Tensor) -> Tensor:
        """Return x, or scale x."""
        return x * scale if times else x.view_as(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, bool, Tensor], output: Any) -> None:
        """Keep the scale itself and not its present value, which both classes must have in common."""
        ctx.scale, ctx.times, _ = inputs

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Pass the gradient through the other function."""
        return None, None, Scaled.apply(ctx.scale, not ctx.times, *gradients)  # type: ignore[no-untyped-call]


class Unscaled(torch.autograd.Function):
    """(x, y, ...) -> (x, y, ...), whose gradients are divided by the scale, a power of two: exactly.

    With `over`: (x, y, ...) / scale, whose gradients are left as they are; the derivative again, as in `Scaled`.
    """

    @staticmethod
    def forward(scale: Tensor, over: bool, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return the tensors, or all of them divided, by one operation."""
        if over:
            return tuple(torch._foreach_mul(tensors, scale.reciprocal()))
        return tuple(t.view_as(t) for t in tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep the scale; what has no gradient gets None, not zeros: its parameter takes part in no step."""
        ctx.scale, ctx.over = inputs[:2]
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Pass the gradients that exist through the other function."""
        known = [g for g in gradients if g is not None]
        passed = iter(Unscaled.apply(ctx.scale, not ctx.over, *known) if known else ())  # type: ignore[no-untyped-call]
        return None, None, *(None if g is None else next(passed) for g in gradients)


def scaled_call(body: nn.Module, x: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """Return body(x) under autocast, as x's dtype, with the gradient times `scale` inside of the body alone."""
    # every slot of every module once; `functional_call` itself forgets to restore a module that has two names
    slots = [named for prefix, module in body.named_modules() for named in module.named_parameters(prefix, False)]
    trained = {name: parameter for name, parameter in slots if parameter.requires_grad}
    with torch.autocast(x.device.type, dtype):
        if x.requires_grad:  # a copy, since a body may change its input in place
            x = Unscaled.apply(scale, False, x)[0].clone()  # type: ignore[no-untyped-call]
        unscaled = Unscaled.apply(scale, False, *trained.values()) if trained else ()  # type: ignore[no-untyped-call]
        replaced = dict(zip(trained, unscaled, strict=True))
        features: Tensor = torch.func.functional_call(body, replaced, (x,), tie_weights=False)
    return Scaled.apply(scale, False, features.to(x.dtype))  # type: ignore[no-untyped-call, no-any-return]
