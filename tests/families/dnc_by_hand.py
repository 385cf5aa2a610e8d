"""DnC written out by hand over any encoder: its four stages and the probe, on rows with labels."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import nn

from longtail.catalogue.method import Method
from longtail.data import TrainingSet
from longtail.data.divided import Divided
from longtail.engine import Built, Recipe, Stage
from longtail.facts.learner import Learner
from longtail.learners.divided import DistilledLearner, DividedLearner
from longtail.updates.divided import EachExpert


def dnc(base: Method, recipe: Recipe, data: TrainingSet) -> Sequence[Stage]:
    def under(share: float) -> Recipe:
        return replace(recipe, epochs=max(1, round(share * recipe.epochs)))

    def stage(name: str, build: Any, shorter: Recipe, epochs: int) -> Stage:
        return Stage(name, "by hand", build, epochs, shorter.make_optimizer, shorter.learning_rate)

    encoder, probe = base.stages(under(0.2))
    expert, _ = base.stages(under(0.6))

    def experts(data: TrainingSet, previous: Any) -> Built:
        return trained(expert, data, previous)

    def distilled(data: TrainingSet, previous: Any) -> Built:
        rows = data.labeled.drawn(recipe.batch_size, views=("contrast", "contrast"))
        network = recipe.network(data.labeled, "projection", **previous.network.builder["head_args"])
        return Built(learning_from(network, previous), rows)

    return [
        encoder,
        stage("clusters", clusters, recipe, 0),
        stage("experts", experts, under(0.6), expert.epochs),
        stage("distilled", distilled, replace(under(0.2), lr=0.1 * recipe.lr), under(0.2).epochs),
        probe,
    ]


def clusters(data: TrainingSet, previous: Any) -> Built:
    network = copy.deepcopy(previous.network).eval()
    with torch.no_grad():
        first, norm, relu, *_ = network.head.layers
        hidden = relu(norm(first(network.features(data.labeled.inputs)))).numpy()
    lengths = np.sqrt((hidden**2).sum(1, keepdims=True))
    model = KMeans(5, n_init=10, random_state=int(torch.randint(2**31, ())))
    far = model.fit(hidden / np.where(lengths > 0, lengths, 1)).transform(hidden / np.where(lengths > 0, lengths, 1))
    left = list(range(5))
    while True:
        nearest = [min(left, key=lambda k: row[k]) for row in far]
        sizes = [nearest.count(k) for k in left]
        if min(sizes) > 1:
            break
        left.remove(left[sizes.index(min(sizes))])
    return Built(DividedLearner(network, torch.tensor([left.index(k) for k in nearest])), data.labeled.drawn(1))


def trained(expert: Stage, data: TrainingSet, previous: Any) -> Built:
    network, of = copy.deepcopy(previous.network), previous.assignment.clone()
    parts = []
    for k in range(int(of.max()) + 1):
        built = expert.build(
            TrainingSet(data.labeled.take(torch.tensor([i for i in range(len(of)) if of[i] == k]))), None
        )
        own: Any = built.learner
        for one in [own.network] if own.average is None else [own.network, own.average]:
            one.standardize.mean.copy_(network.standardize.mean)
            one.standardize.std.copy_(network.standardize.std)
        parts.append(built)
    learner = DividedLearner(network, of, [part.learner for part in parts])
    return Built(learner, Divided(tuple(part.data for part in parts)), EachExpert([part.update for part in parts]))


def learning_from(network: Any, previous: Any) -> Learner:
    """The network that learns from all, with heads of a hidden layer as wide as its own and no last norm."""
    dim, width = network.head.out_features, network.head.layers[0].out_features
    heads = [
        nn.Sequential(nn.Linear(dim, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, dim))
        for _ in range(len(previous.experts) + 1)
    ]
    teachers = [copy.deepcopy(expert.network) for expert in previous.experts]
    return DistilledLearner(network, heads, copy.deepcopy(previous.network), teachers, previous.assignment.clone())
