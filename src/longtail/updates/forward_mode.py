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
    """Inside, operations on tensors made by `dual` compute derivatives along, and record no graph."""
    _load()
    with torch.no_grad(), forward_ad.dual_level(), _BatchNorms():
        yield


def dual(value: Tensor, tangent: Tensor) -> Tensor:
    """Return the value with the direction in which derivatives are taken, of its shape."""
    return forward_ad.make_dual(value, tangent)  # type: ignore[no-untyped-call, no-any-return]


def parts(tensor: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the value and its derivative, None where it does not depend on the direction."""
    value, tangent = forward_ad.unpack_dual(tensor)  # type: ignore[no-untyped-call]
    return value, tangent


@final
class _BatchNorms(TorchFunctionMode):
    """Batch norms y = w n(x) + b, whose derivative torch composes of a dozen operations, in mixed precision slowly.

    dy = w n'(x) dx + dw n(x) + db: the Jacobian of n over the rows of a channel is symmetric, (I - 1 1^T / m -
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
        """Replace `torch.nn.functional.batch_norm` alone."""
        return (_batch_norm if func is F.batch_norm else func)(*args, **(kwargs or {}))


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
def _load() -> None:
    """Let torch compile formulas of its own, once, which it calls deprecated."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.filterwarnings("ignore", ".*torch.jit", DeprecationWarning)
        dual(torch.zeros(1), torch.ones(1))
