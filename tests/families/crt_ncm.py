"""Decoupled classifiers: the features of a finished training, and another classifier on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import torch

from longtail import losses, sampling
from longtail.catalogue.compose import PLAIN, BaseMethod
from longtail.catalogue.implied import uniform
from longtail.catalogue.method import SELF, Method
from longtail.catalogue.references import Reference
from longtail.data import TrainingSet
from longtail.engine import Built, Recipe, Stage
from longtail.facts.knobs import Choice, Range
from longtail.facts.learner import Learner
from longtail.learners import SupervisedLearner

Base = Annotated[Method, BaseMethod(slots=("classifier",))]
Share = Annotated[float, Range(0, 1, open_low=True)]
Features = Annotated[str, Choice(("cl2n", "l2n", "un"))]
KANG_2020 = Reference("kang2020decoupling", "Bingyi Kang", "Decoupling Representation and Classifier", "ICLR", 2020)


def crt(*, base: Base = PLAIN, more: Share = 0.4) -> Method:
    """cRT: a fresh linear classifier by class-balanced draws, the body frozen while its batch norms move.

    loss = -log softmax(z)_y, P(class j) = 1 / C.
    """

    def stages(recipe: Recipe) -> Sequence[Stage]:
        again = replace(recipe, epochs=max(1, round(more * recipe.epochs)))

        def build(data: TrainingSet, previous: Learner | None) -> Built:
            assert isinstance(previous, SupervisedLearner)
            rows = data.labeled
            network = recipe.network(rows, like=previous.network)
            network.body.load_state_dict(previous.network.body.state_dict())
            learner = SupervisedLearner(network, losses.CrossEntropyLoss(), frozen=["body"], moving_norms=True)
            return Built(learner, rows.drawn(recipe.batch_size, sampling.ClassBalancedSampler(rows.targets)))

        second = Stage("classifier", SELF, build, again.epochs, again.make_optimizer, again.learning_rate)
        return [*base.stages(recipe), second]

    return replace(base, stages=stages, taken=base.taken | {"classifier"}, reference=KANG_2020, prior=uniform)


def ncm(*, base: Base = PLAIN, features: Features = "cl2n") -> Method:
    """NCM: the nearest class mean of features; a stage of no epochs.

    predict argmax_j -||f - mu_j||^2.
    """

    def stages(recipe: Recipe) -> Sequence[Stage]:
        def build(data: TrainingSet, previous: Learner | None) -> Built:
            assert isinstance(previous, SupervisedLearner)
            rows = data.labeled
            network = recipe.network(rows, "ncm", like=previous.network, features=features)
            network.body.load_state_dict(previous.network.body.state_dict())
            network.eval()
            with torch.no_grad():
                found = torch.cat([network.body(network.standardize(x)) for x in rows.chunks(1024)])
            network.head.fit(found, rows.targets)
            return Built(SupervisedLearner(network, losses.CrossEntropyLoss()), rows.drawn(recipe.batch_size))

        return [*base.stages(recipe), Stage("means", SELF, build, 0, recipe.make_optimizer, recipe.learning_rate)]

    return replace(base, stages=stages, taken=base.taken | {"classifier"}, reference=KANG_2020, prior=uniform)


METHODS = {"crt": crt, "ncm": ncm}
