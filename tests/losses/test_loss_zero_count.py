"""Classes without training examples: an error with a name, a mask, or a pseudo-count."""

from __future__ import annotations

import pytest
import torch
from tests.cases import cases
from tests.losses.loss_cases import batch, soft

from longtail import losses

EMPTY = [500, 120, 0, 7, 2]
PRIORS = [losses.LogitAdjustedLoss, losses.BalancedSoftmaxLoss, losses.VSLoss, losses.CDTLoss, losses.PairwiseLoss]


@pytest.mark.parametrize("tau", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("kind", ["index", "soft", "smoothed"])
def test_masked_logit_adjustment_is_the_loss_without_that_class(kind: str, tau: float) -> None:
    z, y = batch(dtype=torch.float64)
    z.requires_grad_()
    loss = losses.LogitAdjustedLoss(EMPTY, tau=tau, zero_count="mask")
    rest = [0, 1, 3, 4]
    without = losses.LogitAdjustedLoss([EMPTY[j] for j in rest], tau=tau)
    there = y != 2
    if kind == "soft":
        q = soft()
        value = loss(z, q)
        mass = q[:, rest].sum()  # what lies on the empty class costs nothing and weighs nothing
        per_row = without.per_example(z[:, rest], q[:, rest])
        torch.testing.assert_close(value, per_row.sum() / mass)
    elif kind == "index":
        value = loss(z, y)
        torch.testing.assert_close(value, without(z[there][:, rest], torch.tensor([0, 1, 0, 2, 3])[y[there]]))
        assert torch.equal(loss.kept(y), there)
        assert (loss.per_example(z, y)[~there] == 0).all()
    else:
        value = losses.LogitAdjustedLoss(EMPTY, tau=tau, zero_count="mask", label_smoothing=0.1)(z, y)
    (grad,) = torch.autograd.grad(value, z)
    assert torch.isfinite(grad).all()
    assert (grad[:, 2] == 0).all()


@pytest.mark.parametrize("loss", PRIORS)
def test_a_batch_of_masked_classes_only_is_zero(loss: type[losses.Loss]) -> None:
    z, y = batch()
    z.requires_grad_()
    value = loss(EMPTY, zero_count="mask")(z, torch.full_like(y, 2))
    value.backward()
    assert value.item() == 0
    assert (z.grad == 0).all()


OTHERS = {
    "VS": (losses.VSLoss, {}),
    "CDT": (losses.CDTLoss, {}),
    "pairwise": (losses.PairwiseLoss, {}),
    "pairwise ones": (losses.PairwiseLoss, {"delta": "ones"}),
    "pairwise margin": (losses.PairwiseLoss, {"margin": 0.4}),
}


@cases("kind", ["index", "soft"])
@cases("name", OTHERS)
def test_masked_it_is_the_loss_without_that_class(name: str, kind: str) -> None:
    loss, knobs = OTHERS[name]
    (z, y), rest = batch(dtype=torch.float64), [0, 1, 3, 4]
    z.requires_grad_()
    masked = loss(EMPTY, zero_count="mask", **knobs)
    without = loss([EMPTY[j] for j in rest], **knobs)
    if kind == "soft":
        q = soft()
        value, expected = masked.per_example(z, q), without.per_example(z[:, rest], q[:, rest])
    else:
        there = y != 2
        value = masked.per_example(z, y)[there]
        expected = without.per_example(z[there][:, rest], torch.tensor([0, 1, 0, 2, 3])[y[there]])
    torch.testing.assert_close(value, expected)
    (grad,) = torch.autograd.grad(value.sum(), z)
    assert torch.isfinite(grad).all()
    assert (grad[:, 2] == 0).all()


def test_masked_margins_leave_the_empty_class_out_of_the_maximum() -> None:
    loss = losses.LDAMLoss(EMPTY, zero_count="mask")
    assert loss.relative_margins[2] == 0
    assert loss.relative_margins[4] == 1
    z, y = batch()
    assert torch.isfinite(loss(z, y))


@pytest.mark.parametrize("word", ["inverse", "sqrt", "effective"])
def test_masked_named_weights_are_zero_there_and_sum_to_the_number_of_classes(word: str) -> None:
    loss = losses.CrossEntropyLoss(EMPTY, class_weight=word, zero_count="mask")
    assert loss.class_weight[2] == 0
    assert loss.class_weight.sum().item() == pytest.approx(5)


def test_the_mask_follows_new_counts() -> None:
    z, y = batch()
    loss = losses.BalancedSoftmaxLoss(EMPTY, zero_count="mask")
    loss.set_class_counts([5, 4, 3, 2, 1])
    assert loss.outside is None
    assert torch.equal(loss(z, y), losses.BalancedSoftmaxLoss([5, 4, 3, 2, 1])(z, y))
    loss.load_state_dict(losses.BalancedSoftmaxLoss(EMPTY, zero_count="mask").state_dict())
    assert loss.outside.tolist() == [False, False, True, False, False]
