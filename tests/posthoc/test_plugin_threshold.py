"""The plug-in rule on scores: the shares of the classes are the threshold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from longtail.posthoc import PluginThreshold


def test_of_two_classes_the_second_is_decided_above_its_share() -> None:
    eta = torch.tensor([0.05, 0.19, 0.21, 0.6], dtype=torch.float64)
    scores = torch.stack([1 - eta, eta], dim=1).log()
    assert PluginThreshold([80, 20])(scores).argmax(1).tolist() == [0, 0, 1, 1]
    assert PluginThreshold([1.6, 0.4])(scores).argmax(1).tolist() == [0, 0, 1, 1]  # sums of weights do


def test_logits_arrays_and_saved_shares() -> None:
    scores = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    rule = PluginThreshold([70, 20, 10])
    expected = scores - np.log([0.7, 0.2, 0.1])
    np.testing.assert_allclose(rule(scores), expected, rtol=1e-6)
    assert isinstance(rule(scores), np.ndarray)
    other = PluginThreshold([1, 1, 1])
    other.load_state_dict(rule.state_dict())
    assert np.array_equal(other(scores), rule(scores))
    assert repr(rule) == "PluginThreshold(classes=3)"


def test_refusals() -> None:
    with pytest.raises(ValueError, match="class 1"):
        PluginThreshold([3, 0])
    assert torch.isneginf(PluginThreshold([3, 0], zero_count="mask")(torch.zeros(1, 2))[0, 1])
    with pytest.raises(ValueError, match="logits must have 2 classes in dimension 1"):
        PluginThreshold([3, 1])(torch.zeros(1, 3))
