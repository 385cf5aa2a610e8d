"""Kept memory and merged batch norms change the time of a step and nothing else."""

from __future__ import annotations

import copy

import pytest
import torch

from longtail import models
from longtail.engine import malloc
from longtail.models.conv_bn_fusion import merge_batch_norms, merged_batch_norms
from longtail.runs.predictor import Predictor


def trained(name: str = "resnet32", precision: str = "float32") -> torch.nn.Module:
    """A network whose batch norms have seen data, so that merging changes something."""
    torch.manual_seed(0)
    network = models.build(name, input_shape=(3, 16, 16), num_classes=4, precision=precision)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 2)
            module.bias.data.uniform_(-1, 1)
    return network


INPUTS = torch.randint(0, 256, (6, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_kept_memory_changes_no_value() -> None:
    network = trained()
    plain = network(INPUTS).logits
    with malloc.keep_freed_memory():
        assert network(INPUTS).logits.equal(plain)
    assert network(INPUTS).logits.equal(plain)


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(malloc, "_glibc", lambda: None)
    with malloc.keep_freed_memory():
        assert trained()(INPUTS).logits.shape == (6, 4)


@pytest.mark.parametrize("name", ["resnet32", "convnet"])
def test_merging_gives_the_same_scores_in_float64(name: str) -> None:
    network = trained(name).double().eval()
    expected = network(INPUTS).logits
    with merged_batch_norms(network):
        assert not [m for m in network.body.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        torch.testing.assert_close(network(INPUTS).logits, expected, rtol=1e-9, atol=1e-9)
    assert network(INPUTS).logits.equal(expected)  # and everything is back in its place
    torch.testing.assert_close(merge_batch_norms(copy.deepcopy(network))(INPUTS).logits, expected, rtol=1e-9, atol=1e-9)


def test_merging_leaves_training_and_foreign_networks_alone() -> None:
    network = trained().train()
    with merged_batch_norms(network):
        assert [m for m in network.body.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    foreign = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).eval()
    with merged_batch_norms(foreign):
        assert isinstance(foreign[1], torch.nn.BatchNorm2d)


def test_a_predictor_follows_its_network_and_saves_it_unmerged() -> None:
    network = trained()
    names = set(network.state_dict())
    predictor = Predictor(network, tuple("abcd"), torch.ones(4))
    first = predictor.scores(INPUTS)
    torch.testing.assert_close(first, network.eval()(INPUTS).logits.detach(), rtol=1e-4, atol=1e-4)
    assert {k.removeprefix("network.") for k in predictor.state_dict() if k.startswith("network.")} == names
    with torch.no_grad():
        network.body[0].weight.mul_(0.5)
    again = predictor.scores(INPUTS)
    assert not again.equal(first)
    torch.testing.assert_close(again, network(INPUTS).logits.detach(), rtol=1e-4, atol=1e-4)
