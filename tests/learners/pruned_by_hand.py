"""A small network and SDCLR's pruned copy of it, made by hand, for the tests of the pruned branch."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import nn

from longtail.facts.types import Batch
from longtail.learners import PairLearner
from longtail.learners.hosts import NTXent
from longtail.learners.pruned import Pruned


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.path = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width))
        self.downsample = nn.Sequential(nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.path(x) + self.downsample(x)).relu()


def small() -> nn.Sequential:
    """Stem, a block with a downsample, a projector with a batch norm; in double precision."""
    torch.manual_seed(0)
    stem = nn.Conv2d(2, 3, 3, padding=1, bias=False)
    projector = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 4))
    network = nn.Sequential(
        stem, nn.BatchNorm2d(3), nn.ReLU(), Residual(3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), projector
    )
    return network.double()


CONVOLUTIONS = ("0", "3.path.0", "3.downsample.0")
NORMS = ("1", "3.path.1", "3.downsample.1", "6.1")


def batch(rows: int = 6) -> Batch:
    views = torch.randn(2, rows, 2, 5, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Batch(inputs=tuple(views.unbind()), index=torch.arange(rows))


def learner_of(network: nn.Module, fraction: float = 0.5, **options: Any) -> PairLearner:
    return PairLearner(network, NTXent(0.5), branch=Pruned(network, fraction, **options))


def masks_by_loops(network: nn.Module, fraction: float) -> list[list[bool]]:
    layers = [network.get_submodule(name).weight.flatten().tolist() for name in CONVOLUTIONS]
    sizes = sorted(abs(w) for layer in layers for w in layer)
    threshold = sizes[min(math.ceil(fraction * len(sizes)), len(sizes) - 1)]
    return [[abs(w) >= threshold for w in layer] for layer in layers]


def differing(network: nn.Module, branch: Pruned) -> None:
    """Give the pruned copy's norms factors of their own."""
    generator = torch.Generator().manual_seed(5)
    for parameter in branch.norms.parameters():
        with torch.no_grad():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))


def pruned_copy(network: nn.Module, branch: Pruned) -> nn.Module:
    """A network of its own, with zeros in place of pruned weights and with the second norms."""
    competitor = copy.deepcopy(network)
    for name, mask in zip(CONVOLUTIONS, branch.masks, strict=True):
        weight: Any = competitor.get_submodule(name).weight
        with torch.no_grad():
            weight.mul_(mask)
    for name, norm in zip(NORMS, branch.norms, strict=True):
        competitor.get_submodule(name).load_state_dict(norm.state_dict())
    return competitor
