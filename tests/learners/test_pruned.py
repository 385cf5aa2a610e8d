"""The masks of the pruned branch: which weights go, and when."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from tests.learners.pruned_by_hand import CONVOLUTIONS, learner_of, masks_by_loops, small
from torch import nn
from torch.nn.utils import parametrizations

from longtail.learners.pruned import Pruned, kept, prunable


class TestTheMask:
    @pytest.mark.parametrize("fraction", [0.0, 0.3, 0.5, 0.9, 0.999])
    def test_is_one_threshold_over_all_convolutions(self, fraction: float) -> None:
        network = small()
        branch = Pruned(network, fraction)
        assert branch.layers == CONVOLUTIONS
        expected = masks_by_loops(network, fraction)
        assert [mask.flatten().tolist() for mask in branch.masks] == expected
        n = sum(map(len, expected))
        assert sum(map(sum, expected)) == n - min(math.ceil(fraction * n), n - 1)
        assert any(map(any, expected))

    def test_follows_the_present_weights_at_every_epoch_and_nothing_before(self) -> None:
        network = small()
        learner = learner_of(network)
        first = [mask.clone() for mask in learner.branch.masks]
        with torch.no_grad():
            network[0].weight.mul_(100)
        assert all(mask.equal(old) for mask, old in zip(learner.branch.masks, first, strict=True))
        storage = [mask.data_ptr() for mask in learner.branch.masks]
        learner.start_epoch(None, 0.5)
        assert [mask.flatten().tolist() for mask in learner.branch.masks] == masks_by_loops(network, 0.5)
        assert bool(learner.branch.masks[0].all())  # also where it was pruned
        assert not first[0].all()
        assert [mask.data_ptr() for mask in learner.branch.masks] == storage  # what a captured step reads

    def test_weights_of_one_size_all_stay_and_shared_ones_count_once(self) -> None:
        (same,) = kept([torch.full((5,), -2.0)], 0.8)
        assert bool(same.all())
        shared = torch.tensor([4.0, 3.0, 2.0, 1.0])
        one, again, other = kept([shared, shared, torch.tensor([5.0, 6.0])], 0.5)  # 6 weights, the three largest stay
        assert one.tolist() == again.tolist() == [True, False, False, False]
        assert other.tolist() == [True, True]

    def test_is_of_the_bodys_linear_layers_where_nothing_is_convolved(self) -> None:
        network = nn.Module()
        network.body = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 3))
        network.head = nn.Linear(3, 2)
        assert prunable(network) == ("body.0", "body.2")

    def test_is_saved(self) -> None:
        network = small()
        state = learner_of(network, 0.9).state_dict()
        other = learner_of(copy.deepcopy(network), 0.1)
        other.load_state_dict(state)
        assert [m.flatten().tolist() for m in other.branch.masks] == masks_by_loops(network, 0.9)
        assert not {name for name in state if name.startswith("branch.") and name not in dict(other.state_dict())}


class TestRefused:
    @pytest.mark.parametrize("fraction", [1.0, -0.1, 1.5, float("nan")])
    def test_a_fraction_outside(self, fraction: float) -> None:
        with pytest.raises(ValueError, match=r"^fraction must be in \[0, 1\), got "):
            Pruned(small(), fraction)

    def test_other_norms(self) -> None:
        with pytest.raises(ValueError, match=r'^norms must be "two" or "one", got .none.'):
            Pruned(small(), 0.5, norms="none")

    def test_nothing_to_prune(self) -> None:
        with pytest.raises(ValueError, match=r"^network must have convolutions, or linear layers before .*, got none"):
            Pruned(nn.Sequential(nn.Flatten()), 0.5)

    def test_weights_that_are_computed(self) -> None:
        network = small()
        parametrizations.weight_norm(network[0])
        with pytest.raises(ValueError, match=r"^network must have plain weights to prune, got '0', which computes"):
            Pruned(network, 0.5)
