"""What every loss promises, whatever its formula."""

from __future__ import annotations

import pytest
import torch
from loss_cases import CASES, COUNTS, NAMES, TAKES_CLASS_WEIGHT, C, batch, generator, soft
from torch.nn.functional import one_hot

from longtail import losses
from longtail.schedules import linear, switch

EXACT = {"rtol": 1e-12, "atol": 1e-13}
all_losses = pytest.mark.parametrize("name", NAMES)


def onehot(y: torch.Tensor) -> torch.Tensor:
    return one_hot(y, C).movedim(-1, 1).double()


@all_losses
def test_one_hot_probabilities_are_class_indices(name: str) -> None:
    z, y = batch()
    loss = CASES[name].build()
    torch.testing.assert_close(loss(z, onehot(y)), loss(z, y), **EXACT)
    torch.testing.assert_close(loss.per_example(z, onehot(y)), loss.per_example(z, y), **EXACT)


@all_losses
def test_mixup_is_the_mixture_of_losses(name: str) -> None:
    z, y = batch()
    other, lam = y.flip(0), 0.3
    loss = CASES[name].build(reduction="sum")
    mixed = loss(z, lam * onehot(y) + (1 - lam) * onehot(other))
    torch.testing.assert_close(mixed, lam * loss(z, y) + (1 - lam) * loss(z, other), **EXACT)


@all_losses
def test_renaming_the_classes_changes_nothing(name: str) -> None:
    case, (z, y) = CASES[name], batch()
    order = torch.randperm(C, generator=generator(5))
    renamed = case.loss([COUNTS[j] for j in order], **case.knobs)
    torch.testing.assert_close(renamed(z[:, order], order.argsort()[y]), case.build()(z, y), **EXACT)


@all_losses
@pytest.mark.parametrize("dims", [(3,), (2, 3), (2, 1, 3)])
def test_dense_targets_are_the_flattened_ones(name: str, dims: tuple[int, ...]) -> None:
    z, y = batch(4, *dims)
    q = soft(4, *dims)
    y[0] = -100
    flat_z, flat_q = z.movedim(1, -1).reshape(-1, C), q.movedim(1, -1).reshape(-1, C)
    s = torch.rand(y.shape, generator=generator(3), dtype=torch.float64)
    loss = CASES[name].build(label_smoothing=0.1)
    for dense, flat in ((y, y.flatten()), (q, flat_q)):
        torch.testing.assert_close(loss(z, dense), loss(flat_z, flat), **EXACT)
        weighted = loss(z, dense, sample_weight=s), loss(flat_z, flat, sample_weight=s.flatten())
        torch.testing.assert_close(*weighted, **EXACT)
        per_example = loss.per_example(z, dense)
        assert per_example.shape == y.shape
        torch.testing.assert_close(per_example.flatten(), loss.per_example(flat_z, flat), **EXACT)


@all_losses
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("ignore", [-100, 255, 1])
def test_ignored_positions_are_as_if_they_were_not_there(name: str, ignore: int, smoothing: float) -> None:
    z, y = batch()
    y[::3] = ignore
    there = y != ignore
    z.requires_grad_()
    loss = CASES[name].build(ignore_index=ignore, label_smoothing=smoothing)
    assert torch.equal(loss.kept(y), there)
    torch.testing.assert_close(loss(z, y), loss(z[there], y[there]), **EXACT)
    losses_ = loss.per_example(z, y)
    assert (losses_[~there] == 0).all()
    (grad,) = torch.autograd.grad(losses_.sum(), z)
    assert (grad[~there] == 0).all()


@all_losses
@pytest.mark.parametrize("normalize", ["weights", "batch"])
@pytest.mark.parametrize("how", ["ignored", "weightless"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_batch_in_which_nothing_counts_is_zero_with_its_graph(
    name: str, how: str, normalize: str, smoothing: float
) -> None:
    z, y = batch(dtype=torch.float32)
    z.requires_grad_()
    loss = CASES[name].build(normalize=normalize, label_smoothing=smoothing)
    value = loss(z, torch.full_like(y, -100)) if how == "ignored" else loss(z, y, sample_weight=torch.zeros(len(y)))
    value.backward()
    assert value.item() == 0
    assert torch.equal(z.grad, torch.zeros_like(z))


@all_losses
def test_the_three_reductions_and_four_normalisers(name: str) -> None:
    z, y = batch()
    y[2] = -100
    s = torch.rand(len(y), generator=generator(4), dtype=torch.float64)
    case = CASES[name]
    each = case.build().per_example(z, y, sample_weight=s)
    total = case.build(reduction="sum")(z, y, sample_weight=s)
    assert torch.equal(case.build(reduction="none")(z, y, sample_weight=s), each)
    torch.testing.assert_close(total, each.sum(), **EXACT)
    mean = case.build()
    torch.testing.assert_close(mean(z, y, sample_weight=s, normalize="batch"), total / (len(y) - 1), **EXACT)
    torch.testing.assert_close(mean(z, y, sample_weight=s, normalize=7), total / 7, **EXACT)
    tensor = torch.tensor(7)  # num_items_in_batch comes as a tensor
    torch.testing.assert_close(mean(z, y, sample_weight=s, normalize=tensor), total / 7, **EXACT)
    torch.testing.assert_close(case.build(normalize=3.5)(z, y, sample_weight=s), total / 3.5, **EXACT)
    w = torch.tensor(case.own_weight or [1.0] * C, dtype=torch.float64)
    omega = torch.where(y == -100, 0.0, w[y.clamp(min=0)] * s).sum()
    torch.testing.assert_close(mean(z, y, sample_weight=s, normalize="weights"), total / omega, **EXACT)


@all_losses
def test_a_sample_weight_of_k_is_k_copies(name: str) -> None:
    z, y = batch()
    k = torch.randint(4, (len(y),), generator=generator(6))
    loss = CASES[name].build(reduction="sum")
    copies = loss(z.repeat_interleave(k, 0), y.repeat_interleave(k, 0))
    torch.testing.assert_close(loss(z, y, sample_weight=k), copies, **EXACT)


@all_losses
@pytest.mark.parametrize("kind", ["index", "soft", "smoothed"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_extreme_logits_have_finite_values_and_gradients(name: str, dtype: torch.dtype, kind: str) -> None:
    values = torch.tensor([-1e4, -30.0, 0.0, 30.0, 1e4])
    z = torch.cartesian_prod(*[values] * 3)
    z = torch.cat([z, z[:, :2].flip(0)], 1)
    y = torch.arange(len(z)) % C
    z = z.to(dtype).requires_grad_()
    targets = y if kind == "index" else onehot(y).float() * 0.7 + 0.3 * onehot(y.flip(0)).float()
    smoothing = 0.1 if kind == "smoothed" else 0.0
    loss = CASES[name].build(label_smoothing=smoothing)
    each = loss.per_example(z, y if kind == "smoothed" else targets)
    assert each.dtype == torch.float32
    assert torch.isfinite(each).all()
    assert (each >= 0).all()
    each.mean().backward()
    assert torch.isfinite(z.grad).all()


@all_losses
@pytest.mark.parametrize("kind", ["index", "soft", "smoothed"])
def test_gradients_are_those_of_the_value(name: str, kind: str) -> None:
    z, y = batch(6)
    loss = CASES[name].build(label_smoothing=0.1 if kind == "smoothed" else 0.0)
    targets = soft(6) if kind == "soft" else y
    z = z * 0.2 if name == "ldam" else z  # at scale 30 larger logits leave nothing to difference
    assert torch.autograd.gradcheck(lambda x: loss.per_example(x, targets), (z.requires_grad_(),))
    s = torch.rand(len(y), dtype=torch.float64, generator=generator(7)).requires_grad_()
    assert torch.autograd.gradcheck(lambda w: loss(z.detach(), targets, sample_weight=w), (s,))


@pytest.mark.parametrize("name", TAKES_CLASS_WEIGHT)
@pytest.mark.parametrize("normalize", ["weights", "batch"])
def test_reweight_zero_is_no_weight_to_the_bit(name: str, normalize: str) -> None:
    z, y = batch(dtype=torch.float32)
    y[1] = -100
    plain = CASES[name].build(normalize=normalize)
    deferred = CASES[name].build(normalize=normalize, class_weight="inverse", reweight=switch(0.8, 0.0, 1.0))
    off = CASES[name].build(normalize=normalize, class_weight="inverse", reweight=0.0)
    for targets in (y, soft().float()):
        x = z.clone().requires_grad_()
        (want,) = torch.autograd.grad(value := plain(x, targets), x)
        for loss, p in ((deferred, 0.5), (deferred, torch.tensor(0.5)), (off, None)):
            (got,) = torch.autograd.grad(same := loss(x, targets, progress=p), x)
            if targets is y or not isinstance(p, torch.Tensor):
                assert torch.equal(same, value)
                assert torch.equal(got, want)
            else:  # sum_k q_k is one only up to rounding
                torch.testing.assert_close(same, value)


KNOBS = {
    "reweight": lambda knob: losses.CrossEntropyLoss(COUNTS, class_weight="inverse", reweight=knob),
    "tau": lambda knob: losses.LogitAdjustedLoss(COUNTS, tau=knob),
    "max_margin": lambda knob: losses.LDAMLoss(COUNTS, max_margin=knob),
    "scale": lambda knob: losses.LDAMLoss(COUNTS, scale=knob),
    "gamma": lambda knob: losses.FocalLoss(gamma=knob),
}


@pytest.mark.parametrize("knob", KNOBS)
def test_a_scheduled_knob_moves_with_progress_and_never_guesses_it(knob: str) -> None:
    z, y = batch()
    moving = KNOBS[knob](linear(0.2, 0.8))
    for p in (0.0, 0.25, torch.tensor(0.5, dtype=torch.float64)):
        fixed = KNOBS[knob](0.2 + 0.6 * float(p))
        torch.testing.assert_close(moving(z, y, progress=p), fixed(z, y), **EXACT)
    with pytest.raises(TypeError, match=rf"^{knob} is the schedule linear\(0.2, 0.8\) and needs progress"):
        moving(z, y)
    with pytest.raises(TypeError, match=f"^{knob} is the schedule"):
        moving.per_example(z, y)


def test_scores_and_probabilities_are_the_losses_own_model() -> None:
    z, _ = batch()
    ldam = losses.LDAMLoss(COUNTS, scale=20.0)
    assert torch.equal(ldam.scores(z), 20.0 * z)
    assert torch.equal(ldam.probabilities(z), torch.softmax(20.0 * z, 1))
    adjusted = losses.LogitAdjustedLoss(COUNTS)
    assert torch.equal(adjusted.scores(z), z)
    assert torch.equal(adjusted.probabilities(z), torch.softmax(z, 1))
    sigmoid = losses.ClassBalancedLoss(COUNTS, base="sigmoid")
    assert torch.equal(sigmoid.probabilities(z), torch.sigmoid(z))
    with pytest.raises(TypeError, match=r"^scale is the schedule"):
        losses.LDAMLoss(COUNTS, scale=linear(1.0, 30.0)).scores(z)


@all_losses
def test_narrow_logits_are_computed_in_float32_under_autocast_too(name: str) -> None:
    z, y = batch(dtype=torch.bfloat16)
    loss = CASES[name].build()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(loss(z, y), loss(z.float(), y))
    assert torch.equal(loss(z, y), loss(z.float(), y))


@all_losses
def test_small_integer_targets_are_class_indices(name: str) -> None:
    z, y = batch()
    for dtype in (torch.int32, torch.int16, torch.int8, torch.uint8):
        loss = CASES[name].build()
        assert torch.equal(loss(z, y.to(dtype)), loss(z, y))
        assert loss.kept(y.to(dtype)).all()


@all_losses
def test_vmap_gives_per_example_gradients(name: str) -> None:
    z, y = batch()
    loss = CASES[name].build(reduction="sum")
    one = torch.func.vmap(torch.func.grad(lambda row, k: loss(row[None], k[None])))(z, y)
    z.requires_grad_()
    (all_at_once,) = torch.autograd.grad(loss(z, y), z)
    torch.testing.assert_close(one, all_at_once, **EXACT)
    every_class = torch.func.vmap(lambda k: loss(z[:1].detach(), k[None]))(torch.arange(C))
    assert every_class.shape == (C,)
