"""Layers side by side: the part of a body that each expert or branch has for itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor, nn

from longtail.facts.knobs import Range
from longtail.models.bodies.stages import layers_of, starts_stage

COUNT = Range(1, integer=True)
SHARE = Range(0, 1, open_low=True)


@final
class Branches(nn.Module):
    """x -> (N, E D): the features of E branches, each (N, D), one after the other."""

    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """The features of all branches."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


@final
class OneBranch(nn.Module):
    """A body with one of its branches alone, layer by layer and so never compiled: x -> (N, D).

    Args:
        body: ends in `Branches`; its parameters are this module's.
        number: of the branch, from 0.
    """

    def __init__(self, body: nn.Module, number: int) -> None:
        super().__init__()
        self.body = body
        self.number = number

    def forward(self, x: Tensor) -> Tensor:
        """The features of the branch."""
        *shared, last = layers_of(self.body)
        assert isinstance(last, Branches)
        for layer in (*shared, last.branches[self.number]):
            x = layer(x)
        return x


def branched(branches: int, layers: Callable[[], Sequence[nn.Module]]) -> list[nn.Module]:
    """Return the last layers of a body: once, or as `Branches` of their own initialisation each.

    Args:
        branches: E >= 1.
        layers: makes them, ending in features (N, D).
    """
    COUNT.check("branches", branches)
    if branches == 1:
        return list(layers())
    return [starts_stage(Branches([nn.Sequential(*layers()) for _ in range(branches)]))]


def narrowed(width: int, narrow: float) -> int:
    """Return the share `narrow` of a width, an even number where it is below 1 (shortcuts pad both sides alike)."""
    SHARE.check("narrow", narrow)
    return width if narrow == 1 else max(2, 2 * round(width * narrow / 2))
