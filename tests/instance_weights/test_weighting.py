"""Instance weights turn per-example losses into one scalar, with the weights constant in the gradient."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor

from longtail.facts.types import InstanceWeights
from longtail.instance_weights import InstanceWeighting, LossBatch, Mean


class Largest(InstanceWeighting):
    """Weighs by the loss itself: enough to see what every weighting inherits."""

    def weights(self, batch: LossBatch) -> Tensor:
        assert not batch.losses.requires_grad
        return batch.losses / batch.losses.max()


def test_the_mean_is_the_mean_bit_for_bit():
    losses = torch.rand(37, generator=torch.Generator().manual_seed(0))
    weights = Mean()
    assert isinstance(weights, InstanceWeights)
    assert torch.equal(weights(losses), losses.mean())
    assert torch.equal(weights.last, torch.ones(37))
    assert torch.equal(weights(losses, targets=torch.zeros(37), index=torch.arange(37), progress=0.5), losses.mean())


def test_what_is_not_kept_stands_outside_the_mean():
    losses = torch.tensor([1.0, torch.inf, 3.0, 5.0], requires_grad=True)
    kept = torch.tensor([True, False, True, False])
    weights = Mean()
    loss = weights(losses, kept=kept)
    loss.backward()
    assert loss.item() == 2
    assert losses.grad.tolist() == [0.5, 0, 0.5, 0]
    assert weights.last.tolist() == [1, 0, 1, 0]


def test_nothing_kept_is_zero_and_keeps_the_graph():
    losses = torch.ones(3, requires_grad=True)
    loss = Mean()(losses, kept=torch.zeros(3, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert losses.grad.tolist() == [0, 0, 0]


def test_weights_are_constant_in_the_gradient_and_can_be_had_alone():
    losses = torch.tensor([1.0, 2.0, 4.0], requires_grad=True)
    weights = Largest()
    alone = weights.weigh(losses)
    assert alone.tolist() == [0.25, 0.5, 1.0]
    assert not alone.requires_grad
    loss = weights(losses)
    loss.backward()
    assert loss.item() == pytest.approx((0.25 * 1 + 0.5 * 2 + 1 * 4) / 3)
    assert losses.grad.tolist() == pytest.approx([0.25 / 3, 0.5 / 3, 1 / 3])
    assert torch.equal(weights.last, alone)


def test_dense_losses_and_any_floating_dtype():
    losses = torch.rand(2, 3, 4, dtype=torch.float64)
    kept = torch.rand(2, 3, 4) > 0.3
    assert Mean()(losses, kept=kept).item() == pytest.approx(float(losses[kept].mean()), rel=1e-14)
    assert Mean()(losses.half()).dtype == torch.float16


def test_the_mean_has_no_state_to_save_and_copies():
    weights = Mean()
    weights(torch.ones(2, requires_grad=True))
    assert weights.state_dict() == {}
    assert torch.equal(deepcopy(weights).last, weights.last)


@pytest.mark.slow
def test_it_compiles_whole():
    compiled = torch.compile(Mean(), backend="aot_eager", fullgraph=True)
    losses = torch.tensor([0.1, 0.6, 0.5, 0.9, 0.4])
    torch.testing.assert_close(compiled(losses, kept=losses > 0.5), losses[losses > 0.5].mean())


@pytest.mark.parametrize(
    ("losses", "kept", "message"),
    [
        (torch.tensor(1.0), None, r"losses must be one floating-point number per example, .*loss.per_example"),
        (torch.ones(3, dtype=torch.long), None, "losses must be one floating-point number per example"),
        (torch.ones(3), torch.ones(2, dtype=torch.bool), r"kept must be bool and shaped like the losses \(3,\)"),
        (torch.ones(3), torch.ones(3), "kept must be bool .* got torch.float32"),
    ],
)
def test_bad_input_is_refused(losses, kept, message):
    with pytest.raises(ValueError, match=message):
        Mean()(losses, kept=kept)
