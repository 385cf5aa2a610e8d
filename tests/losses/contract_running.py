"""Checks of where a loss lives: precisions, derivatives, compilation, copies."""

from __future__ import annotations

import copy
import pickle

import torch
from tests.losses.contract_counts import OTHER
from tests.losses.contract_targets import YES, onehot, same, weights
from tests.losses.loss_cases import C, Case, batch, soft
from torch import Tensor, nn

from longtail import functional

LIMITS = torch.tensor([-1e4, -30.0, 0.0, 30.0, 1e4])


def narrow_logits(case: Case) -> str:
    """Half precision and autocast are computed in float32, and finite for |z| <= 1e4."""
    loss = case.build()
    z, y = batch(dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(loss(z, y), loss(z.float(), y))
    z = torch.cartesian_prod(*[LIMITS] * 3)
    z = torch.cat([z, z[:, :2].flip(0)], 1)
    y = torch.arange(len(z)) % C
    mixed = onehot(y).float() * 0.7 + 0.3 * onehot(y.flip(0)).float()
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        for targets, smoothing in ((y, 0.0), (mixed, 0.0), (y, 0.1)):
            x = z.to(dtype, copy=True).requires_grad_()
            each = case.build(label_smoothing=smoothing).per_example(x, targets)
            assert each.dtype == torch.float32
            assert torch.isfinite(each).all()
            assert case.below_zero or (each >= 0).all()
            each.mean().backward()
            assert torch.isfinite(x.grad).all()
    return YES


def gradients(case: Case) -> str:
    """The gradient is that of the value, away from kinks; where a margin is held, that of the value with it held."""
    z, y = batch(6)
    z = (z * (0.2 if "scale" in repr(case.build()) else 1.0)).requires_grad_()  # larger, there is nothing to difference
    for targets, smoothing in ((y, 0.0), (soft(6), 0.0), (y, 0.1)):
        loss = case.build(label_smoothing=smoothing)
        if not case.holds_margin:
            assert torch.autograd.gradcheck(lambda x, loss=loss, t=targets: loss.per_example(x, t), (z,))
            continue
        t = functional.smoothed(targets, C, 0.1, torch.float64) if smoothing else targets
        knobs_ = {"delta_minus": loss.delta_minus, "beta": loss.beta}
        less = loss.constant("class_margins", z) if loss.ldam else None
        held = functional.maximum_margins(z, t, **knobs_, less=less)
        assert not held.requires_grad

        def by_hand(x: Tensor, t: Tensor = t, held: Tensor = held, s: float = loss.scale) -> Tensor:
            return functional.example_margin(x, t, held, s)

        assert torch.autograd.gradcheck(by_hand, (z,))
        ours, theirs = (torch.autograd.grad(v.sum(), z)[0] for v in (loss.per_example(z, targets), by_hand(z)))
        same(ours, theirs)
    s = weights(6).requires_grad_()
    assert torch.autograd.gradcheck(lambda w: case.build()(z.detach(), y, sample_weight=w), (s,))
    return "margin held" if case.holds_margin else YES


def vmap_and_grad(case: Case) -> str:
    (z, y), loss = batch(), case.build(reduction="sum")
    one = torch.func.vmap(torch.func.grad(lambda row, k: loss(row[None], k[None])))(z, y)
    (together,) = torch.autograd.grad(loss(z.requires_grad_(), y), z)
    same(one, together)
    soft_one = torch.func.vmap(torch.func.grad(lambda row, q: loss(row[None], q[None])))(z.detach(), soft())
    same(soft_one, torch.autograd.grad(loss(z, soft()), z)[0])
    every_class = torch.func.vmap(lambda k: loss(z[:1].detach(), k[None]))(torch.arange(C))
    assert every_class.shape == (C,)
    return YES


def compiles(case: Case) -> str:
    """One graph for both kinds of targets, no breaks, the same values and gradients."""
    (z, y), q, loss = batch(dtype=torch.float32), soft().float(), case.build()
    z.requires_grad_()

    def both(x: Tensor) -> Tensor:
        return torch.stack([loss(x, y), loss(x, q)])

    torch._dynamo.reset()
    ours, theirs = both(z), torch.compile(both, fullgraph=True, backend="aot_eager")(z)
    same(ours, theirs, rtol=1.3e-6, atol=1e-5)
    same(*(torch.autograd.grad(v.sum(), z)[0] for v in (ours, theirs)), rtol=1.3e-6, atol=1e-5)
    return YES


def copies(case: Case) -> str:
    """deepcopy, pickle and state_dict; alone, inside a model, by assignment."""
    (z, y), loss = batch(), case.build()
    before = loss(z, y)
    for twin in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert torch.equal(twin(z, y), before)
        assert repr(twin) == repr(loss)
        twin.set_class_counts(OTHER)
        assert torch.equal(loss(z, y), before)
    assert list(loss.state_dict()) == ["class_counts"]
    for assign in (False, True):
        model = nn.ModuleDict({"loss": case.of(OTHER).build()})
        model.load_state_dict(nn.ModuleDict({"loss": loss}).state_dict(), assign=assign)
        assert torch.equal(model["loss"](z, y), before)
        assert torch.equal(model["loss"](z.float(), y), loss(z.float(), y))
    return YES
