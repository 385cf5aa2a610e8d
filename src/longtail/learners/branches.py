"""How the two views of a batch pass through a network."""

from __future__ import annotations

from typing import Protocol, final

import torch
from torch import Tensor, nn

from longtail.facts.knobs import Choice
from longtail.facts.types import Outputs, Progress, as_outputs

PASSES = Choice(("joint", "split"))
"""joint: one pass for both views, so that they share batch statistics; split: one pass for each view."""
Shown = tuple[Tensor | None, Tensor | None]
"""The two views, None for one that this network is not shown."""
Seen = tuple[Outputs | None, Outputs | None]
"""The outputs for them."""


class Branch(Protocol):
    """What a view passes through: the network as it is, or a changed one for the second view (SDCLR). A module."""

    def __call__(self, network: nn.Module, views: Shown, *, average: bool = False) -> Seen:
        """Return the outputs for the views; `average` says that the network is the moving average."""
        ...

    def start_epoch(self, network: nn.Module, progress: Progress) -> None:
        """Compute what holds for an epoch from the trained network, such as a mask."""
        ...

    def follow(self, stay: Progress) -> None:
        """Move averages of the branch's own parameters: mean <- stay mean + (1 - stay) parameter."""
        ...


@final
class Shared(nn.Module):
    """The network as it is, for both views.

    Args:
        passes: "joint" or "split", see `PASSES`. A batch of one row, which has no statistics, is always joint.
    """

    def __init__(self, passes: str = "joint") -> None:
        super().__init__()
        PASSES.check("passes", passes)
        self.passes = passes

    def forward(self, network: nn.Module, views: Shown, *, average: bool = False) -> Seen:
        """Return the outputs for the views."""
        first, second = views
        if first is None or second is None or (self.passes == "split" and len(first) > 1):
            return one_pass(network, first), one_pass(network, second)
        both = as_outputs(network(torch.cat([first, second])))
        features = (None, None) if both.features is None else both.features.chunk(2)
        z1, z2 = both.logits.chunk(2)
        return Outputs(z1, features[0]), Outputs(z2, features[1])

    def start_epoch(self, network: nn.Module, progress: Progress) -> None:
        """Nothing holds for an epoch."""

    def follow(self, stay: Progress) -> None:
        """There is nothing to average."""


def one_pass(network: nn.Module, view: Tensor | None) -> Outputs | None:
    """Return the outputs for one view, or None for none."""
    return None if view is None else as_outputs(network(view))
