"""Tiny data and methods for the engine's tests: Gaussian classes, a linear net, two stages."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from longtail.data import Examples, TrainingSet
from longtail.engine import Built, Recipe, Stage
from longtail.facts.learner import Learner
from longtail.learners import SupervisedLearner
from longtail.losses import CrossEntropyLoss

RECIPE = Recipe(epochs=3, batch_size=8, lr=0.05)


def gaussians(counts: tuple[int, ...] = (24, 10, 4), dim: int = 3, seed: int = 0) -> Examples:
    """Class j is N(j, 1) in every dimension."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    inputs = torch.randn(len(targets), dim, generator=generator) + targets.unsqueeze(1)
    return Examples(inputs, targets, tuple(str(j) for j in range(len(counts))))


class Net(nn.Module):
    """A body with dropout and batch norm, so that every kind of state takes part."""

    def __init__(self, dim: int = 3, classes: int = 3) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(dim, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.2))
        self.head = nn.Linear(6, classes)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(inputs))


def one(data: TrainingSet, left: Learner | None) -> Built:
    return Built(SupervisedLearner(Net(), CrossEntropyLoss()), data.labeled.drawn(RECIPE.batch_size))


def retrained_head(data: TrainingSet, left: Learner | None) -> Built:
    """Stage 2: what the first left, its body frozen, under a fresh head."""
    assert isinstance(left, SupervisedLearner)
    network = Net()
    network.body.load_state_dict(left.network.body.state_dict())
    network.body.requires_grad_(False)
    return Built(SupervisedLearner(network, CrossEntropyLoss()), data.labeled.drawn(RECIPE.batch_size))


def copied(data: TrainingSet, left: Learner | None) -> Built:
    """A stage that trains nothing: it turns the head's sign, as a nearest-mean or tau-norm stage would."""
    assert isinstance(left, SupervisedLearner)
    network = Net()
    network.load_state_dict(left.network.state_dict())
    with torch.no_grad():
        network.head.weight.neg_()
    return Built(SupervisedLearner(network, CrossEntropyLoss()), data.labeled.drawn(RECIPE.batch_size))


def stage(name: str = "train", build: Any = one, epochs: int = 3, **options: Any) -> Stage:
    return Stage(name, name, build, epochs, RECIPE.make_optimizer, RECIPE.learning_rate, **options)


def two_stages() -> tuple[Stage, ...]:
    return stage("features", one, 3), stage("classifier", retrained_head, 2)
