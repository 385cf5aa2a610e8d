"""Checks of how losses are weighed and summed."""

from __future__ import annotations

import pytest
import torch
from tests.losses import loss_formulas as formulas
from tests.losses.contract_targets import YES, same, weights
from tests.losses.loss_cases import COUNTS, C, Case, batch, generator
from torch import Tensor

from longtail import losses
from longtail.facts.schedules import linear

NAMES = [f"class {j}" for j in range(C)]


def class_weight(case: Case) -> str:
    z, y = batch()
    if case.loss is losses.ClassBalancedLoss:
        with pytest.raises(ValueError, match=r"^class_weight of a ClassBalancedLoss is its own, got 'inverse'"):
            case.build(class_weight="inverse")
        return "no: the loss is its weight; `reweight` moves it"
    plain = case.build().per_example(z, y)
    by_formula = {
        "inverse": formulas.power_weights(COUNTS, 1.0),
        "sqrt": formulas.power_weights(COUNTS, 0.5),
        "effective": formulas.effective_weights(COUNTS, 0.9999),
    }
    for word, w in by_formula.items():
        tensor = torch.tensor(w, dtype=torch.float64)
        for given in (word, tensor, w, tensor.numpy(), dict(zip(NAMES, w, strict=True))):
            weighted = case.build(class_weight=given, classes=NAMES)
            same(weighted.per_example(z, y), tensor[y] * plain)
            same(weighted(z, y, normalize="weights"), (tensor[y] * plain).sum() / tensor[y].sum())
    return YES


def reweight(case: Case) -> str:
    z, y = batch()
    word = {} if case.own_weight else {"class_weight": "inverse"}
    w = torch.tensor(case.own_weight or formulas.power_weights(COUNTS, 1.0), dtype=torch.float64)
    plain = case.build(reweight=0.0, **word).per_example(z, y)
    moving = case.build(reweight=linear(0.0, 1.0), **word)
    for p in (0.0, 0.3, torch.tensor(0.75, dtype=torch.float64), 1.0):
        same(moving.per_example(z, y, progress=p), (1 + float(p) * (w[y] - 1)) * plain)
    with pytest.raises(TypeError, match=r"^reweight is the schedule linear\(0.0, 1.0\) and needs progress"):
        moving(z, y)
    if not case.own_weight:
        assert torch.equal(plain, case.build().per_example(z, y))  # r = 0 is no weight to the bit
    return YES


def sample_weights(case: Case) -> str:
    z, y = batch()
    k = torch.randint(4, (len(y),), generator=generator(6))
    loss = case.build(reduction="sum")
    same(loss(z, y, sample_weight=k), loss(z.repeat_interleave(k, 0), y.repeat_interleave(k, 0)))
    y[2] = -100
    for normalize in ("weights", "batch"):
        mean = case.build(normalize=normalize)
        same(mean(z, y, sample_weight=k), mean(z.repeat_interleave(k, 0), y.repeat_interleave(k, 0)))
    return YES


def _weighed_sum(case: Case) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    z, y = batch()
    y[2] = -100
    s = weights(len(y))
    return z, y, s, case.build().per_example(z, y, sample_weight=s), case.build(reduction="sum")(z, y, sample_weight=s)


def reductions(case: Case) -> str:
    z, y, s, each, total = _weighed_sum(case)
    assert torch.equal(case.build(reduction="none")(z, y, sample_weight=s), each)
    same(total, each.sum())
    mean, behind = case.build().with_losses(z, y, sample_weight=s)
    same(mean, case.build()(z, y, sample_weight=s))
    assert torch.equal(behind, each)
    return YES


def normalizers(case: Case) -> str:
    z, y, s, _, total = _weighed_sum(case)
    mean = case.build()
    w = torch.tensor(case.own_weight or [1.0] * C, dtype=torch.float64)
    s_kept = torch.where(y == -100, 0.0, s)
    by = {"weights": (w[y.clamp(min=0)] * s_kept).sum(), "batch": s_kept.sum(), 7: 7, 3.5: 3.5}
    for normalize, divisor in by.items():
        same(mean(z, y, sample_weight=s, normalize=normalize), total / divisor)
        same(case.build(normalize=normalize)(z, y, sample_weight=s), total / divisor)
    same(mean(z, y, sample_weight=s, normalize=torch.tensor(7)), total / 7)  # num_items_in_batch comes as a tensor
    same(mean(z, y, sample_weight=s), total / by[case.loss.DIVIDES_BY])
    return f'yes, "{case.loss.DIVIDES_BY}" unless told'


def nothing_counts(case: Case) -> str:
    """A batch in which nothing counts is zero, with its graph."""
    for normalize in ("weights", "batch"):
        for smoothing in (0.0, 0.1):
            loss = case.build(normalize=normalize, label_smoothing=smoothing)
            for call in (
                lambda z, y, loss=loss: loss(z, torch.full_like(y, -100)),
                lambda z, y, loss=loss: loss(z, y, sample_weight=torch.zeros(len(y))),
            ):
                z, y = batch(dtype=torch.float32)
                value = call(z.requires_grad_(), y)
                value.backward()
                assert value.item() == 0
                assert torch.equal(z.grad, torch.zeros_like(z))
    return YES
