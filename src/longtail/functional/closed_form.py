"""How a per-example loss of class indices runs on a CPU: piece by piece, by its closed-form derivative.

Every operation of an eager formula walks through all of (N, C), and at thousands of classes memory is what it
waits for. Here the rows go in pieces that stay in the cache, the way back writes the gradient and nothing else,
and all it keeps is the logits, which are there anyway, with a few numbers per position.

The formula stays what the loss *means*. It runs wherever somebody looks inside: under torch.compile, which fuses
by itself, torch.func, forward-mode and second derivatives, for constants that want a gradient of their own, and
on a GPU.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, cast, final

import torch
from torch import Tensor
from torch.autograd import forward_ad

PIECE = 3 << 18
"""Bytes of logits in a piece, per thread: with its temporaries it fits a second-level cache."""

SMALL = 1 << 17
"""Logits up to which an eager formula is as fast: there the calls cost more than the memory."""

Piece = tuple[slice, ...]

# torch says this nowhere else; without it every loss would run by its formula, right and slower
_transformed = getattr(torch._C, "_are_functorch_transforms_active", lambda: True)


class ClosedForm(ABC):
    """A loss l(z, y) per position with its constants, by its formula and by pieces.

    A piece z is (n, C) or (n, C, p); `index`, the class of every position, and whatever else there is per position
    have a dimension of one in place of C. `at` says where the piece stands, for constants per position.
    """

    ignore_index: int

    @abstractmethod
    def formula(self, logits: Tensor, targets: Tensor) -> Tensor:
        """l for logits (N, C, d1..dk) and class indices (N, d1..dk); differentiable as often as one likes."""

    @abstractmethod
    def losses(self, z: Tensor, index: Tensor, at: Piece) -> Tensor:
        """l of one piece."""

    @abstractmethod
    def slope(self, z: Tensor, index: Tensor, at: Piece, g: Tensor, out: Tensor) -> None:
        """Write g dl/dz of one piece into `out`."""

    def constants(self) -> Sequence[Any]:
        """What the loss depends on beside logits and targets."""
        return ()

    @final
    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """l (N, d1..dk), 0 where ignored."""
        if _plain(logits, self.constants()):
            return cast("Tensor", _Pieces.apply(logits, targets, self))  # type: ignore[no-untyped-call]
        return self.formula(logits, targets)


def _plain(logits: Tensor, constants: Sequence[Any]) -> bool:
    """Whether nothing but an eager loss and its gradient towards many logits is asked for, on a CPU."""
    return (
        not torch.compiler.is_compiling()  # first: what follows would only make it compile more than once
        and logits.numel() > SMALL
        and logits.device.type == "cpu"
        and not _transformed()
        and forward_ad.unpack_dual(logits).tangent is None  # type: ignore[no-untyped-call]
        and not any(isinstance(c, Tensor) and (c.requires_grad or c.device != logits.device) for c in constants)
    )


def flat(tensor: Tensor) -> Tensor:
    """(N, C, d1..dk) as (N, C, d1 * .. * dk)."""
    return tensor.flatten(2) if tensor.ndim > 3 else tensor


def _pieces(z: Tensor) -> list[Piece]:
    """Slices of (N, C) or (N, C, P) that cut it into pieces of about PIECE bytes."""
    positions = max(PIECE * torch.get_num_threads() // (z.element_size() * z.shape[1]), 1)
    wide = z.shape[2] if z.ndim > 2 else 1
    step = max(positions // max(wide, 1), 1)
    rows = [slice(i, i + step) for i in range(0, len(z), step)]
    if wide <= positions:
        return [(row,) for row in rows]
    return [(row, slice(None), slice(j, j + positions)) for row in rows for j in range(0, wide, positions)]


class _Pieces(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, loss: ClosedForm) -> Tensor:
        ctx.save_for_backward(logits, targets)
        ctx.loss = loss
        z, index, ignored = _places(logits, targets, loss.ignore_index)
        losses = torch.empty(index.shape, dtype=z.dtype)
        for p in _pieces(z):
            losses[p] = loss.losses(z[p], index[p], p)
        return losses.masked_fill_(ignored, 0).view(targets.shape)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        logits, targets = ctx.saved_tensors
        loss: ClosedForm = ctx.loss
        if torch.is_grad_enabled():  # somebody will differentiate once more
            again = loss.formula(logits, targets)
            return (*torch.autograd.grad(again, logits, g, create_graph=True), None, None)
        z, index, ignored = _places(logits, targets, loss.ignore_index)
        g = flat(g.unsqueeze(1)).masked_fill(ignored, 0)
        out = torch.empty_like(z)
        for p in _pieces(z):
            loss.slope(z[p], index[p], p, g[p], out[p])
        return out.view(logits.shape), None, None


def _places(logits: Tensor, targets: Tensor, ignore_index: int) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (N, C) or (N, C, P), and of the same form the class of every position (0: ignored) and whether it is."""
    targets = flat(targets.unsqueeze(1))
    ignored = targets == ignore_index
    return flat(logits), targets.masked_fill(ignored, 0), ignored
