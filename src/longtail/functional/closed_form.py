"""Per-example losses of class indices on a CPU: computed in pieces, with a closed-form derivative.

Every operation of an eager formula goes through all of (N, C), and at thousands of classes it waits for memory.
Here the rows are processed in pieces that fit the cache, the backward pass writes the gradient and nothing else,
and what is saved for it is the logits, which are in memory anyway, with a few numbers per position.

The formula defines the loss. It runs wherever its operations have to be visible: under torch.compile, which
combines them by itself, torch.func, forward-mode and second derivatives, and for constants that require a gradient.
`gpu` does the same on a GPU.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, cast, final

import torch
from torch import Tensor

from longtail.functional.index_loss import IndexLoss, value_and_gradient_suffice
from longtail.functional.index_loss import in_functorch as in_functorch

PIECE = 3 << 18
"""Bytes of logits in a piece, per thread: with its temporaries it fits a second-level cache."""

SMALL = 1 << 17
"""Number of logits up to which an eager formula is as fast: calls then cost more than memory."""

Piece = tuple[slice, ...]


class ClosedForm(IndexLoss, ABC):
    """A loss that also runs in pieces.

    A piece z is (n, C) or (n, C, p); `index`, the class of every position, and all other values per position
    have a dimension of one in place of C. `at` are the slices of the piece, for constants per position.
    """

    @abstractmethod
    def losses(self, z: Tensor, index: Tensor, at: Piece) -> Tensor:
        """Return l of one piece."""

    @abstractmethod
    def write_gradient(self, z: Tensor, index: Tensor, at: Piece, g: Tensor, out: Tensor) -> None:
        """Write g dl/dz of one piece into `out`."""

    @final
    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return l (N, d1..dk), 0 where ignored."""
        if runs_in_pieces(logits, self.constants()):
            return cast("Tensor", _InPieces.apply(logits, targets, self))  # type: ignore[no-untyped-call]
        return self.formula(logits, targets)


def runs_in_pieces(logits: Tensor, constants: Iterable[Any]) -> bool:
    """Whether only an eager loss and its gradient with respect to many logits are needed, on a CPU."""
    return (
        not torch.compiler.is_compiling()  # first: what follows would only make it compile more than once
        and logits.numel() > SMALL
        and logits.device.type == "cpu"
        and value_and_gradient_suffice(logits, constants)
    )


def flat(tensor: Tensor) -> Tensor:
    """Return (N, C, d1..dk) as (N, C, d1 * .. * dk)."""
    return tensor.flatten(2) if tensor.ndim > 3 else tensor


def _pieces(z: Tensor) -> list[Piece]:
    """Return slices that cut (N, C) or (N, C, P) into pieces of about PIECE bytes."""
    positions = max(PIECE * torch.get_num_threads() // (z.element_size() * z.shape[1]), 1)
    wide = z.shape[2] if z.ndim > 2 else 1
    step = max(positions // max(wide, 1), 1)
    rows = [slice(i, i + step) for i in range(0, len(z), step)]
    if wide <= positions:
        return [(row,) for row in rows]
    return [(row, slice(None), slice(j, j + positions)) for row in rows for j in range(0, wide, positions)]


class _InPieces(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, loss: ClosedForm) -> Tensor:
        ctx.save_for_backward(logits, targets)
        ctx.loss = loss
        z, index, ignored = _flattened(logits, targets, loss.ignore_index)
        losses = torch.empty(index.shape, dtype=z.dtype)
        for p in _pieces(z):
            losses[p] = loss.losses(z[p], index[p], p)
        return losses.masked_fill_(ignored, 0).view(targets.shape)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        logits, targets = ctx.saved_tensors
        loss: ClosedForm = ctx.loss
        if torch.is_grad_enabled():  # for a second derivative
            again = loss.formula(logits, targets)
            return (*torch.autograd.grad(again, logits, g, create_graph=True), None, None)
        z, index, ignored = _flattened(logits, targets, loss.ignore_index)
        g = flat(g.unsqueeze(1)).masked_fill(ignored, 0)
        out = torch.empty_like(z)
        for p in _pieces(z):
            loss.write_gradient(z[p], index[p], p, g[p], out[p])
        return out.view(logits.shape), None, None


def _flattened(logits: Tensor, targets: Tensor, ignore_index: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits (N, C) or (N, C, P), the class of every position (0 where ignored), and whether it is ignored."""
    targets = flat(targets.unsqueeze(1))
    ignored = targets == ignore_index
    return flat(logits), targets.masked_fill(ignored, 0), ignored
