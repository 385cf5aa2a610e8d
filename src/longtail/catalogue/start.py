"""The network that a training begins with: the body of one trained before."""

from __future__ import annotations

from torch import nn

from longtail.facts.learner import Learner


def begin_with(previous: Learner, network: nn.Module) -> None:
    """Copy body and standardisation of a trained learner's network into another network, whose head is unchanged."""
    for part in ("standardize", "body"):
        network.get_submodule(part).load_state_dict(previous.get_submodule(f"network.{part}").state_dict())
