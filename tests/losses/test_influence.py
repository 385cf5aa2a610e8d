"""The influence-balanced loss, which reads features, and softmax equalisation with its random numbers."""

from __future__ import annotations

import math

import pytest
import torch
from tests.cases import cases
from tests.losses import loss_formulas as formulas
from tests.losses.loss_cases import COUNTS, C, batch, soft

from longtail import functional, losses
from longtail.facts.schedules import switch

H = torch.randn(12, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def by_hand(z: torch.Tensor, q: list[list[float]], w: list[float]) -> float:
    total = 0.0
    for row, target, h in zip(z.tolist(), q, H.tolist(), strict=True):
        total += math.fsum(t * w[k] * formulas.influence_balanced(row, k, h, 1000.0) for k, t in enumerate(target))
    return total / len(z)


@cases("kind", ["index", "soft"])
@cases("word", [None, "inverse"])
def test_influence_balanced_is_the_formula(word: str | None, kind: str) -> None:
    z, y = batch()
    targets = soft() if kind == "soft" else y
    w = formulas.power_weights(COUNTS, 1.0) if word else [1.0] * C
    q = targets.tolist() if kind == "soft" else [formulas.smoothed(k, C, 0.0) for k in y.tolist()]
    loss = losses.InfluenceBalancedLoss(COUNTS, class_weight=word)
    assert loss(z, targets, features=H).item() == pytest.approx(by_hand(z, q, w), rel=1e-11)


@cases("kind", ["index", "soft"])
@cases("word", [None, "inverse"])
@cases("gamma", [0.5, 1.0])
def test_with_the_focal_loss_the_class_weight_is_in_the_modulator(gamma: float, word: str | None, kind: str) -> None:
    z, y = batch()
    targets = soft() if kind == "soft" else y
    w = formulas.power_weights(COUNTS, 1.0) if word else [1.0] * C
    q = targets.tolist() if kind == "soft" else [formulas.smoothed(k, C, 0.0) for k in y.tolist()]
    total = 0.0
    for row, target, h in zip(z.tolist(), q, H.tolist(), strict=True):
        for k, t in enumerate(target):
            c = w[k] * formulas.cross_entropy(row, k)
            total += t * w[k] * formulas.influence_balanced(row, k, h, 1000.0) * (1 - math.exp(-c)) ** gamma
    loss = losses.InfluenceBalancedLoss(COUNTS, class_weight=word, gamma=gamma)
    assert loss(z, targets, features=H).item() == pytest.approx(total / len(z), rel=1e-11)
    whole = losses.InfluenceBalancedLoss(COUNTS, class_weight=word, gamma=gamma, detach=False)
    z.requires_grad_()
    assert torch.autograd.gradcheck(lambda x, h: whole(x, targets, features=h), (z, H.clone().requires_grad_()))


def test_a_row_pulls_at_the_classifier_alike_however_well_it_is_fitted() -> None:
    h, y = H[:1].abs(), torch.tensor([0])
    for lead in (0.0, 2.0, 6.0):
        weight = torch.zeros(C, H.shape[1], dtype=torch.float64)
        weight[0] = lead / h.sum()
        weight.requires_grad_()
        (grad,) = torch.autograd.grad(losses.InfluenceBalancedLoss()(h @ weight.T, y, features=h), weight)
        assert grad.abs().sum().item() == pytest.approx(1000.0, rel=0.05)


@cases("kind", ["index", "soft"])
def test_its_gradient_is_that_of_the_cross_entropy_times_a_constant_or_of_all(kind: str) -> None:
    z, y = batch()
    targets = soft() if kind == "soft" else y
    z.requires_grad_()
    whole = losses.InfluenceBalancedLoss(detach=False, reduction="sum")
    assert torch.autograd.gradcheck(lambda x, h: whole(x, targets, features=h), (z, H.clone().requires_grad_()))
    (ours,) = torch.autograd.grad(losses.InfluenceBalancedLoss(reduction="sum")(z, targets, features=H), z)
    each = -torch.log_softmax(z, 1)
    g = torch.stack([(each.detach().neg().exp() - torch.eye(C, dtype=z.dtype)[k]).abs().sum(1) for k in range(C)], 1)
    factor = 1000 / (g * H.abs().sum(1, keepdim=True) + 0.001)
    q = targets if kind == "soft" else torch.eye(C, dtype=z.dtype)[y]
    torch.testing.assert_close(ours, torch.autograd.grad((q * factor * each).sum(), z)[0])


def test_before_its_start_it_is_cross_entropy_and_a_fitted_row_stays_finite() -> None:
    (z, y), late = batch(), switch(0.5, 0.0, 1.0)
    for gamma in (1.0, 0.0):
        loss = losses.InfluenceBalancedLoss(COUNTS, balance=late, gamma=gamma, class_weight="inverse", reweight=late)
        assert torch.equal(loss(z, y, features=H, progress=0.4), losses.CrossEntropyLoss()(z, y))
    assert loss(z, y, features=H, progress=0.5) != loss(z, y, features=H, progress=0.4)
    sure = (40 * torch.eye(C)[y]).requires_grad_()
    value = losses.InfluenceBalancedLoss()(sure, y, features=H.float())
    value.backward()
    assert value.isfinite()
    assert sure.grad is not None
    assert sure.grad.isfinite().all()
    with pytest.raises(TypeError, match=r"InfluenceBalancedLoss reads features, got None; pass the input of the head"):
        losses.InfluenceBalancedLoss()(z, y)


def test_equalisation_draws_for_every_example_and_class() -> None:
    z, y = batch(4000)
    rare = [n / sum(COUNTS) < 0.5 / C for n in COUNTS]
    torch.manual_seed(0)
    ours = losses.SoftmaxEqualizationLoss(COUNTS, gamma=0.9).per_example(z, y)
    # the value of a row says which of the rare classes were left out; its probability is a product of Bernoullis
    chosen = [k for k in range(C) if rare[k]]
    counts: dict[tuple[int, ...], int] = {}
    rows = [i for i in range(len(z)) if y[i] == 0]
    for i in rows:
        for mask in range(2 ** len(chosen)):
            out = [chosen[j] for j in range(len(chosen)) if mask >> j & 1]
            value = formulas.equalised(z[i].tolist(), 0, [k in out for k in range(C)])
            if abs(value - ours[i].item()) < 1e-9:
                counts[tuple(out)] = counts.get(tuple(out), 0) + 1
                break
    assert sum(counts.values()) == len(rows)
    for out, count in counts.items():
        p = 0.9 ** len(out) * 0.1 ** (len(chosen) - len(out))
        assert abs(count - p * len(rows)) < 4 * math.sqrt(len(rows) * p * (1 - p)) + 1


def test_equalisation_without_rare_classes_or_draws_is_cross_entropy() -> None:
    z, y = batch()
    plain = losses.CrossEntropyLoss()(z, y)
    assert torch.equal(losses.SoftmaxEqualizationLoss([40] * C, gamma=1.0)(z, y), plain)
    assert torch.equal(losses.SoftmaxEqualizationLoss(COUNTS, gamma=0.0)(z, y), plain)


def test_a_row_whose_classes_are_all_left_out_costs_nothing() -> None:
    z, y = batch()
    z.requires_grad_()
    for targets in (y, soft()):
        each = functional.equalised(z, targets, torch.ones(C, dtype=torch.bool)[None])
        (grad,) = torch.autograd.grad(each.sum(), z)
        assert torch.equal(each, torch.zeros_like(each))
        assert torch.equal(grad, torch.zeros_like(z))


def test_equal_counts_are_label_smoothing_of_the_head() -> None:
    z, y = batch()
    for shape in functional.SHAPES:
        ours = losses.LabelAwareSmoothingLoss([40] * C, head=0.3, tail=0.1, shape=shape)
        torch.testing.assert_close(ours(z, y), losses.CrossEntropyLoss(label_smoothing=0.3)(z, y))
