"""Forward-mode derivatives, with those of batch norms by the kernels of their forward and backward passes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, final

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


@contextmanager
def forward_mode() -> Iterator[None]:
    """Inside, operations on tensors made by `dual` compute derivatives along.

    As for derivatives backward, what is computed under `torch.no_grad()` or detached is a constant.
    """
    load()
    with torch.enable_grad(), forward_ad.dual_level(), _Operations():
        yield


def dual(value: Tensor, tangent: Tensor) -> Tensor:
    """Return the value with the direction in which derivatives are taken, of its shape."""
    return forward_ad.make_dual(value, tangent)  # type: ignore[no-untyped-call, no-any-return]


def parts(tensor: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the value and its derivative, None where it does not depend on the direction."""
    value, tangent = forward_ad.unpack_dual(tensor)  # type: ignore[no-untyped-call]
    return value, tangent


@final
class _Operations(TorchFunctionMode):
    """Constants under `no_grad`, and batch norms y = w n(x) + b.

    torch composes the derivative of the latter of a dozen operations, slow ones in mixed precision. Here it is

    dy = w n'(x) dx + dw n(x) + db.

    The Jacobian of n over the rows of a channel is symmetric, (I - 1 1^T / m -
    n n^T / m) / s in training mode and I / s in evaluation mode, so that the first term is the backward pass with dx
    in place of the gradient; the others are a batch norm with dw and db.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call the operation, or what replaces it."""
        out = (_batch_norm if func is F.batch_norm else func)(*args, **(kwargs or {}))
        return out if torch.is_grad_enabled() else _constant(out)


def _constant(out: Any) -> Any:
    """Return tensors, or tuples and lists of them, without their derivatives."""
    if isinstance(out, Tensor):
        return parts(out)[0]
    if not isinstance(out, tuple | list):
        return out
    values = [_constant(one) for one in out]
    return out._make(values) if hasattr(out, "_make") else type(out)(values)  # named tuples take them one by one


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    x, dx = parts(input)
    (w, dw), (b, db) = ((None, None) if p is None else parts(p) for p in (weight, bias))
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        y = F.batch_norm(x, running_mean, running_var, w, b, training, momentum, eps)
        dy = None if dx is None else torch.autograd.grad(y, x, dx)[0]
    if dw is not None or db is not None:
        means = (None, None) if training else (running_mean, running_var)
        zeros = torch.zeros_like(db if dw is None else dw)  # type: ignore[arg-type]
        dw, db = (zeros if d is None else d for d in (dw, db))
        more = F.batch_norm(x.detach(), *means, dw, db, training, momentum, eps)
        dy = more if dy is None else dy.add_(more)
    return y.detach() if dy is None else dual(y.detach(), dy)


@cache
def load() -> None:
    """Let torch compile formulas of its own, once, about a second, by what it calls deprecated."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.filterwarnings("ignore", ".*torch.jit", DeprecationWarning)
        dual(torch.zeros(1), torch.ones(1))
