"""The losses on a GPU: the number of the paper's formula, by one kernel, whatever is asked for."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from benchmarks.loss_calls import counted, variants
from tests.cases import cases
from tests.kernels import DEVICE, QUIET, by_formula, by_kernel, kernels, launches
from tests.losses.loss_cases import CASES, C, batch
from torch import Tensor

from longtail import losses
from longtail.facts.schedules import switch
from longtail.losses.one_kernel import OneKernel

pytestmark = [QUIET, pytest.mark.slow]  # the interpreter of kernels is NumPy
__all__ = ["kernels"]
LIKE = torch.zeros(1, C)
NAMES = [
    name
    for name, case in CASES.items()
    if issubclass(case.loss, OneKernel) and case.build().index_loss(LIKE, None) is not None
]
"""Not those that have a kernel only where their strength is 0."""
ASKED = list(itertools.product(
    ({}, {"reduction": "sum"}, {"normalize": "weights"}, {"normalize": "batch"}, {"normalize": 7.0}),
    (None, "inverse", [1.0, 0.0, 2.0, 0.0, 3.0]),
    (torch.float32, torch.float64, torch.bfloat16, torch.float16),
    (-100, 1),
))  # fmt: skip
"""What a call may ask for; no two losses in a row ask for the same."""


def case_batch(**given: Any) -> tuple[Tensor, Tensor]:
    z, y = batch(**given)
    y[:2] = -100
    return z.to(DEVICE), y.to(DEVICE)


def outcome(loss: losses.Loss, z: Tensor, y: Tensor, **given: Any) -> list[Tensor]:
    z = z.detach().requires_grad_()
    value = loss(z, y, **given)
    return [value.detach(), torch.autograd.grad(2 * value, z)[0]]


@cases("name", [n for n in variants((2, 3)) if "Loss" in n])
def test_a_loss_is_one_kernel_and_its_gradient_another(name: str) -> None:
    row = counted(*variants((128, 10), DEVICE)[name], kernels=True)
    assert row["calls"]["forward"] == {"kernel forward": 1}
    assert row["calls"]["backward"] == {"ones_like": 1, "kernel backward": 1}


def test_every_loss_of_one_kernel_is_tried() -> None:
    adjusted = "CrossEntropy LogitAdjusted BalancedSoftmax LDAM UniformMargin VS CDT Focal ClassBalanced"
    assert {CASES[name].loss.__name__ for name in NAMES} == {f"{word}Loss" for word in adjusted.split()}


@cases("name", NAMES)
def test_the_mean_is_the_number_of_the_papers(name: str) -> None:
    z, y = case_batch(dtype=torch.float64)
    case = CASES[name]
    weight = case.own_weight or [1.0] * C
    rows = [(row, k) for row, k in zip(z.tolist(), y.tolist(), strict=True) if k != -100]
    total = math.fsum(weight[k] * case.formula(row, k) for row, k in rows)
    value = case.build().to(DEVICE)(z.requires_grad_(), y)
    assert by_kernel(value)
    assert value.item() == pytest.approx(total / len(rows), rel=1e-12)


@cases("i, name", enumerate(NAMES * 2))
def test_whatever_is_asked_for_is_what_the_formula_gives(i: int, name: str) -> None:
    given, class_weight, dtype, ignore_index = ASKED[(17 * i) % len(ASKED)]
    own = {} if CASES[name].own_weight else {"class_weight": class_weight}
    loss = CASES[name].build(**given, **own, ignore_index=ignore_index).to(DEVICE)
    z, y = case_batch(dtype=dtype)
    y = torch.where(y == -100, ignore_index, y)
    with launches() as started:
        ours = outcome(loss, z, y)
    assert started[-2:] == ["forward", "backward"]
    with by_formula():
        theirs = outcome(loss, z.double(), y)
    rtol = {torch.float64: 1e-12, torch.float32: 2e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}[dtype]
    torch.testing.assert_close(ours[0].double(), theirs[0], rtol=min(rtol, 2e-5), atol=1e-6 if rtol > 1e-6 else 1e-13)
    rounded = torch.finfo(dtype if dtype == torch.float64 else torch.float32).eps * float(theirs[1].abs().max())
    torch.testing.assert_close(ours[1].double(), theirs[1], rtol=rtol, atol=max(rtol / 10, rounded))  # p - 1, scaled


@cases("name", ["ldam", "la", "vs", "cb-focal", "focal-0.5"])
def test_knobs_may_be_tensors_that_only_the_device_knows(name: str) -> None:
    knob = {"ldam": "scale", "la": "tau", "vs": "gamma", "cb-focal": "gamma", "focal-0.5": "gamma"}[name]
    z, y = case_batch(dtype=torch.float32)
    moving = CASES[name].build(**{knob: switch(0.5, 0.7, 1.9)}, reweight=switch(0.5, 0.2, 1.0)).to(DEVICE)
    for p, value, r in ((0.2, 0.7, 0.2), (0.8, 1.9, 1.0)):
        with launches() as started:
            ours = outcome(moving, z, y, progress=torch.tensor(p, device=DEVICE))
        assert started[-2:] == ["forward", "backward"]
        with by_formula():
            theirs = outcome(CASES[name].build(**{knob: value}, reweight=r).to(DEVICE), z, y)
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=2e-5, atol=2e-6)


@cases("name", ["ldam", "focal", "cb-sigmoid"])
def test_what_the_kernel_does_not_know_is_right_all_the_same(name: str) -> None:
    z, y = case_batch(dtype=torch.float64)
    weight = {} if CASES[name].own_weight else {"class_weight": "inverse"}
    s = torch.linspace(0, 2, len(y), dtype=z.dtype, device=DEVICE)
    soft = torch.softmax(z.detach().roll(1, 0), 1)
    settings: list[tuple[dict[str, Any], Tensor, dict[str, Any]]] = [
        ({"label_smoothing": 0.1}, y, {}), ({}, y, {"sample_weight": s}), ({}, soft, {}),
    ]  # fmt: skip
    if name == "focal":
        settings += [({"alpha": [1.0, 2.0, 3.0, 4.0, 5.0]}, y, {}), ({"weight_in_modulator": True}, y, {})]
    for given, targets, call in settings:
        loss = CASES[name].build(**given, **weight).to(DEVICE)
        ours = outcome(loss, z, targets, **call)
        with by_formula():
            theirs = outcome(loss, z, targets, **call)
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)


@cases("name", ["ldam", "focal", "cb-sigmoid"])
def test_the_mean_comes_with_its_losses_from_one_kernel_and_both_have_gradients(name: str) -> None:
    z, y = case_batch(dtype=torch.float64)
    loss = CASES[name].build(**({} if CASES[name].own_weight else {"class_weight": "inverse"})).to(DEVICE)
    loss(z, y)  # the first one tries whether kernels start

    def everything(x: Tensor) -> list[Tensor]:
        row = torch.linspace(-1, 2, len(y), dtype=z.dtype, device=DEVICE)
        mean, losses = loss.with_losses(x, y)
        of_mean = torch.autograd.grad(mean, x, retain_graph=True)[0]
        of_both = torch.autograd.grad(3 * mean + (row * losses).sum(), x)[0]
        alone = loss.per_example(x, y)
        return [mean, losses, of_mean, of_both, alone, torch.autograd.grad((row * alone).sum(), x)[0]]

    with launches() as started:
        ours = everything(z.clone().requires_grad_())
    assert started == ["forward", "backward", "backward", "forward", "backward"]
    with by_formula():
        theirs = everything(z.clone().requires_grad_())
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)


def test_targets_of_a_class_outside_do_not_count() -> None:
    z, y = case_batch(dtype=torch.float64)
    loss = losses.LogitAdjustedLoss([9, 0, 3, 1, 2], zero_count="mask", normalize="batch").to(DEVICE)
    with launches() as started:
        ours = outcome(loss, z, y)
    assert started[-2:] == ["forward", "backward"]
    with by_formula():
        theirs = outcome(loss, z, y)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)


@cases("name", ["la", "focal", "cb-focal"])
def test_a_batch_in_which_nothing_counts_is_zero_with_its_graph(name: str) -> None:
    z, y = case_batch(dtype=torch.float32)
    for normalize in ("weights", "batch"):
        value, gradient = outcome(CASES[name].build(normalize=normalize).to(DEVICE), z, torch.full_like(y, -100))
        assert value == 0
        assert (gradient == 0).all()
