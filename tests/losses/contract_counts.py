"""Checks of what a loss reads: counts, knobs, features; and of its scores."""

from __future__ import annotations

import inspect

import pytest
import torch
from tests.losses.contract_targets import YES, same
from tests.losses.loss_cases import Case, batch, soft
from torch import Tensor

from longtail import losses
from longtail.facts import knobs
from longtail.facts.schedules import linear

OTHER = [3, 60, 9, 400, 11]
EMPTY = [500, 120, 0, 7, 2]


def without_counts(case: Case) -> str:
    z, y = batch()
    try:
        loss = case.loss(**case.knobs)
    except ValueError:
        with pytest.raises(
            ValueError, match=rf"^{case.loss.__name__} needs class_counts, got None; pass longtail\.class"
        ):
            case.loss(**case.knobs)
        return "no: reads n"
    assert torch.equal(loss(z, y), case.build()(z, y))
    return "yes, n is for named weights"


def new_counts(case: Case) -> str:
    (z, y), loss = batch(), case.build()
    loss.set_class_counts(OTHER)
    assert torch.equal(loss(z, y), case.of(OTHER).build()(z, y))
    with pytest.raises(ValueError, match=r"^class_counts must keep 5 classes, got 3; build a new loss"):
        loss.set_class_counts([1, 2, 3])
    return YES


def zero_count(case: Case) -> str:
    z, y = batch(dtype=torch.float64)
    z.requires_grad_()
    case = case.of(EMPTY)
    if without_counts(case).startswith("yes"):
        assert torch.equal(case.build()(z, y), case.loss(**case.knobs)(z, y))
        return "no: n is not read"
    with pytest.raises(ValueError, match=r"^class_counts must be > 0 for every class, got 0 for class 2; drop"):
        case.build()
    with pytest.raises(ValueError, match='zero_count must be "error", "mask" or a number > 0, got 0'):
        case.build(zero_count=0)
    assert torch.equal(case.build(zero_count=3.0)(z, y), case.of([500, 120, 3, 7, 2]).build()(z, y))
    masked = case.build(zero_count="mask")
    for targets in (y, soft()):
        (grad,) = torch.autograd.grad(masked(z, targets), z)
        assert torch.isfinite(grad).all()
    assert torch.isfinite(case.build(zero_count="mask", label_smoothing=0.1)(z, y))
    return _what_a_mask_does(masked, z, y)


def _what_a_mask_does(masked: losses.Loss, z: Tensor, y: Tensor) -> str:
    there = y != 2
    (grad,) = torch.autograd.grad(masked(z, y), z)
    if not masked.kept(y).all():
        assert torch.equal(masked.kept(y), there)
        assert (grad[:, 2] == 0).all()
        same(masked(z, y), masked(z[there], y[there]))
        all_masked = masked(z, torch.full_like(y, 2))
        assert all_masked.item() == 0
        assert all_masked.requires_grad
        return "stands outside"
    if (masked.per_example(z, y)[~there] == 0).all():
        same(masked(z, y, normalize="weights"), masked(z[there], y[there], normalize="weights"))
        return "weighs 0"
    if isinstance(masked, losses.LabelAwareSmoothingLoss):
        assert masked.strengths[2] == masked.strengths[4] == pytest.approx(masked.tail)
        return "as the smallest"
    if isinstance(masked, losses.SoftmaxEqualizationLoss):
        assert masked.is_rare[2]
        return "is rare"
    margins = getattr(masked, "relative_margins", None)
    margins = masked.class_margins if margins is None else margins
    assert margins[2] == 0
    assert margins.argmax() == 4
    return "no margin"


def scheduled_knobs(case: Case) -> str:
    z, y = batch()
    own = inspect.signature(case.loss.__init__).parameters
    moving = [name for name, knob in knobs.declared(case.loss).items() if name in own and knob.schedulable]
    if "base" in own and case.knobs.get("base") != "focal":
        moving.remove("gamma")  # which these two bases do not read
    for name in moving:
        loss = case.build(**{name: linear(0.2, 0.8)})
        for p in (0.0, 0.25, torch.tensor(0.5, dtype=torch.float64)):
            torch.manual_seed(0)  # of losses that draw random numbers
            moved = loss(z, y, progress=p)
            torch.manual_seed(0)
            same(moved, case.build(**{name: 0.2 + 0.6 * float(p)})(z, y))
        for call in (loss, loss.per_example):
            with pytest.raises(TypeError, match=rf"^{name} is the schedule linear\(0.2, 0.8\) and needs progress"):
                call(z, y)
    return ", ".join(f"`{name}`" for name in moving) or "no: none of its knobs is a number that could move"


def scores(case: Case) -> str:
    (z, _), loss = batch(), case.build()
    scale = getattr(loss, "scale", None)
    assert torch.equal(loss.scores(z), z if scale is None else scale * z)
    return "z" if scale is None else "s z"


def probabilities(case: Case) -> str:
    (z, _), loss = batch(), case.build()
    assert loss.probabilities(z.half()).dtype == torch.float32
    if loss.link == "sigmoid":
        same(loss.probabilities(z), torch.sigmoid(z))
        return "sigmoid"
    same(loss.probabilities(z), torch.softmax(loss.scores(z), 1))
    return "softmax"


def features(case: Case) -> str:
    (z, y), loss = batch(), case.build()
    assert loss.needs == frozenset()
    assert torch.equal(loss(z, y, features=torch.full((len(z), 3), torch.nan)), loss(z, y))
    return "no: taken and not read"
