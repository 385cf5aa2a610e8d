"""Checks of what a loss may be taught: kinds of targets, and positions that do not count."""

from __future__ import annotations

import torch
from tests.losses import loss_formulas as formulas
from tests.losses.loss_cases import C, Case, batch, generator, soft
from torch import Tensor
from torch.nn.functional import one_hot

EXACT = {"rtol": 1e-12, "atol": 1e-13}
YES = "yes"


def same(a: Tensor, b: Tensor, **tolerance: float) -> None:
    torch.testing.assert_close(a, b, **(tolerance or EXACT))


def onehot(y: Tensor) -> Tensor:
    return one_hot(y, C).movedim(-1, 1).double()


def weights(n: int, *dims: int) -> Tensor:
    return torch.rand(n, *dims, generator=generator(3), dtype=torch.float64)


def probability_targets(case: Case) -> str:
    (z, y), loss = batch(), case.build(reduction="sum")
    other, lam = y.flip(0), 0.3
    for how in (loss, loss.per_example):
        same(how(z, onehot(y)), how(z, y))
        same(how(z, lam * onehot(y) + (1 - lam) * onehot(other)), lam * how(z, y) + (1 - lam) * how(z, other))
    return YES


def integer_targets(case: Case) -> str:
    (z, y), loss = batch(), case.build()
    for dtype in (torch.int32, torch.int16, torch.int8, torch.uint8):
        assert torch.equal(loss(z, y.to(dtype)), loss(z, y))
        assert loss.kept(y.to(dtype)).all()
    return YES


def dense_targets(case: Case) -> str:
    loss = case.build(label_smoothing=0.1)
    for dims in ((3,), (2, 3), (2, 1, 3)):
        (z, y), q, s = batch(4, *dims), soft(4, *dims), weights(4, *dims)
        y[0] = -100
        flat_z, flat_q = z.movedim(1, -1).reshape(-1, C), q.movedim(1, -1).reshape(-1, C)
        for dense, flat in ((y, y.flatten()), (q, flat_q)):
            same(loss(z, dense), loss(flat_z, flat))
            same(loss(z, dense, sample_weight=s), loss(flat_z, flat, sample_weight=s.flatten()))
            assert loss.per_example(z, dense).shape == y.shape
            same(loss.per_example(z, dense).flatten(), loss.per_example(flat_z, flat))
    return YES


def ignored_targets(case: Case) -> str:
    for ignore in (-100, 255, 1):
        for smoothing in (0.0, 0.1):
            z, y = batch()
            y[::3] = ignore
            there = y != ignore
            z.requires_grad_()
            loss = case.build(ignore_index=ignore, label_smoothing=smoothing)
            assert torch.equal(loss.kept(y), there)
            same(loss(z, y), loss(z[there], y[there]))
            each = loss.per_example(z, y)
            assert (each[~there] == 0).all()
            (grad,) = torch.autograd.grad(each.sum(), z)
            assert (grad[~there] == 0).all()
    return YES


def label_smoothing(case: Case) -> str:
    z, y = batch()
    q = torch.tensor([formulas.smoothed(k, C, 0.3) for k in y.tolist()], dtype=torch.float64)
    smoothed = case.build(label_smoothing=0.3)
    same(smoothed(z, y), case.build()(z, q))
    same(smoothed(z, q), case.build()(z, q))  # soft targets are not smoothed again
    return YES


def permutation(case: Case) -> str:
    """Renaming the classes changes nothing."""
    z, y = batch()
    order = torch.randperm(C, generator=generator(5))
    renamed = case.renamed(order.tolist()).build()
    same(renamed(z[:, order], order.argsort()[y]), case.build()(z, y))
    return YES
