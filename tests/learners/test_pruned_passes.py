"""The passes of the pruned branch: what gets a gradient, and that each set of batch norms moves by itself."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from tests.learners.pruned_by_hand import CONVOLUTIONS, NORMS, batch, differing, learner_of, pruned_copy, small
from torch import nn

from longtail.facts.types import Batch
from longtail.functional import nt_xent
from longtail.learners import PairLearner
from longtail.learners.branches import Shared
from longtail.learners.hosts import NTXent
from longtail.learners.pruned import Pruned
from longtail.updates import SAM


def test_one_joint_pass_has_the_gradient_of_the_originals_three() -> None:
    """Each view's pass by itself, the other one's projections being constants; then the sum on the shared weights."""
    network, data = small(), batch()
    learner = learner_of(network, 0.6)
    differing(network, learner.branch)
    dense, competitor = copy.deepcopy(network), pruned_copy(network, learner.branch)
    masks = dict(zip(CONVOLUTIONS, learner.branch.masks, strict=True))
    learner.training_step(data, 0.0).loss.backward()

    first, second = data["inputs"]
    with torch.no_grad():
        constant = competitor(second)
    z1 = dense(first)
    nt_xent(z1, constant, 0.5).mean().backward()
    nt_xent(z1.detach(), competitor(second), 0.5).mean().backward()
    theirs = dict(competitor.named_parameters())
    for name, parameter in dense.named_parameters():
        found = network.get_parameter(name).grad
        module, _, own = name.rpartition(".")
        if module in NORMS:
            second_norm = learner.branch.norms[NORMS.index(module)].get_parameter(own).grad
            torch.testing.assert_close(found, parameter.grad, rtol=0, atol=1e-12)
            torch.testing.assert_close(second_norm, theirs[name].grad, rtol=0, atol=1e-12)
            continue
        more = theirs[name].grad * (masks[module] if own == "weight" and module in masks else 1)
        torch.testing.assert_close(found, parameter.grad + more, rtol=0, atol=1e-12)


def statistics(norms: Any) -> list[Any]:
    return [(norm.num_batches_tracked.item(), norm.running_mean.clone(), norm.running_var.clone()) for norm in norms]


class TestBatchNorms:
    def test_each_set_records_its_own_view_once(self) -> None:
        network, data = small(), batch()
        learner = learner_of(network, 0.6)
        differing(network, learner.branch)
        competitor = pruned_copy(network, learner.branch)
        dense = copy.deepcopy(network)
        learner.training_step(data, 0.0)
        dense(data["inputs"][0])
        competitor(data["inputs"][1])
        for ours, theirs in ((network, dense), (learner.branch, competitor)):
            found = learner.branch.norms if ours is learner.branch else [network.get_submodule(name) for name in NORMS]
            expected = [theirs.get_submodule(name) for name in NORMS]
            for (count, mean, var), (_, mean_, var_) in zip(statistics(found), statistics(expected), strict=True):
                assert count == 1
                torch.testing.assert_close(mean, mean_, rtol=0, atol=1e-12)
                torch.testing.assert_close(var, var_, rtol=0, atol=1e-12)

    def test_one_set_records_both_views(self) -> None:
        network = small()
        learner = learner_of(network, norms="one")
        learner.training_step(batch(), 0.0)
        assert len(learner.branch.norms) == 0
        assert [network.get_submodule(name).num_batches_tracked.item() for name in NORMS] == [2] * 4

    def test_are_held_in_a_second_pass(self) -> None:
        network = small()
        learner = learner_of(network)
        learner.training_step(batch(), 0.0)
        before = copy.deepcopy(dict(learner.named_buffers()))
        with learner.held():
            learner.training_step(batch(), 0.0)
        assert all(t.equal(before[name]) for name, t in learner.named_buffers())
        optimizer = torch.optim.SGD(learner.trainable(), lr=0.1)
        SAM(0.05)(learner, batch(), optimizer, 0.0)
        assert [norm.num_batches_tracked.item() for norm in learner.branch.norms] == [2] * 4

    def test_are_trained(self) -> None:
        learner = learner_of(small())
        trained = {id(p) for group in learner.trainable() for p in group["params"]}
        assert {id(p) for p in learner.branch.norms.parameters()} <= trained


class Averaged(nn.Module):
    """The squared distance to the keys of the average."""

    t = None

    def __init__(self, symmetric: bool) -> None:
        super().__init__()
        self.symmetric, self.momentum = symmetric, 0.75
        self.seen: Any = None

    def forward(self, compared: Any, batch: Any, t: Any, progress: Any) -> torch.Tensor:
        self.seen = compared
        losses: torch.Tensor = (compared.first.logits - compared.second_key.logits).square().sum(1)
        if self.symmetric:
            losses = losses + (compared.second.logits - compared.first_key.logits).square().sum(1)
        return losses


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_moving_average_is_pruned_too_and_has_norms_of_its_own(symmetric: bool) -> None:
    network, data = small(), batch()
    branch = Pruned(network, 0.6, average=True)
    learner = PairLearner(network, Averaged(symmetric), branch=branch)
    differing(network, branch)
    with torch.no_grad():
        for parameter in learner.average.parameters():
            parameter.mul_(1.25)
    key = copy.deepcopy(learner.average)
    competitor = pruned_copy(key, branch)
    for name, norm in zip(NORMS, branch.average_norms, strict=True):
        competitor.get_submodule(name).load_state_dict(norm.state_dict())
    step = learner.training_step(data, 0.0)
    seen = learner.host.seen
    torch.testing.assert_close(seen.second_key.logits, competitor(data["inputs"][1]), rtol=0, atol=1e-12)
    if symmetric:
        torch.testing.assert_close(seen.first_key.logits, key(data["inputs"][0]), rtol=0, atol=1e-12)
    step.loss.backward()
    assert not any(p.requires_grad for p in branch.average_norms.parameters())
    assert all((p.grad is not None) == symmetric for p in branch.norms.parameters())
    counts = [norm.num_batches_tracked.item() for norm in (*branch.norms, *branch.average_norms)]
    assert counts == [int(symmetric)] * 4 + [1] * 4
    before = [p.clone() for p in branch.average_norms.parameters()]
    learner.after_update(data, step, 0.0)
    for mean, old, now in zip(branch.average_norms.parameters(), before, branch.norms.parameters(), strict=True):
        torch.testing.assert_close(mean, 0.75 * old + 0.25 * now)


def test_without_pruning_and_with_one_set_of_norms_it_is_two_passes_bit_for_bit() -> None:
    network = small()
    other = copy.deepcopy(network)
    pruned, split = learner_of(network, 0.0, norms="one"), PairLearner(other, NTXent(0.5), branch=Shared("split"))
    for learner in (pruned, split):
        learner.training_step(batch(), 0.0).loss.backward()
    assert all(a.grad.equal(b.grad) for a, b in zip(network.parameters(), other.parameters(), strict=True))
    assert all(a.equal(b) for a, b in zip(network.buffers(), other.buffers(), strict=True))


def test_a_batch_of_one_row_passes_through_the_network_alone() -> None:
    learner = learner_of(small())
    step = learner.training_step(batch(1), 0.0)
    assert step.loss.isfinite()
    assert [norm.num_batches_tracked.item() for norm in learner.branch.norms] == [0] * 4


def test_in_half_precision_and_channels_last_it_is_about_the_same() -> None:
    network = small().float()
    data = Batch(inputs=tuple(view.float() for view in batch()["inputs"]), index=torch.arange(6))
    plain = learner_of(network).training_step(data, 0.0).loss
    last = learner_of(copy.deepcopy(network)).to(memory_format=torch.channels_last)
    torch.testing.assert_close(last.training_step(data, 0.0).loss, plain, rtol=1e-4, atol=1e-4)
    assert last.branch.masks[1].is_contiguous(memory_format=torch.channels_last)
    half = learner_of(copy.deepcopy(network))
    with torch.autocast("cpu", torch.bfloat16):
        loss = half.training_step(data, 0.0).loss
    torch.testing.assert_close(loss.float(), plain, rtol=0.1, atol=0.1)
    loss.backward()
    assert all(p.grad.dtype == torch.float32 for p in half.parameters() if p.grad is not None)
