"""SimCLR with a temperature that may move, judged by a linear probe; and SSP, where any method starts from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from longtail import losses
from longtail.catalogue.compose import PLAIN, BaseMethod
from longtail.catalogue.method import SELF, Method
from longtail.catalogue.references import Reference
from longtail.data import TrainingSet
from longtail.engine import Built, Recipe, Stage
from longtail.facts.knobs import Knob, Positive, PositiveFloat, Range
from longtail.facts.learner import Learner
from longtail.facts.schedules import Cycle, at
from longtail.learners import PairLearner, SupervisedLearner

Base = Annotated[Method, BaseMethod(slots=("start",))]
Share = Annotated[float, Range(0, 1, open_low=True)]
CHEN_2020 = Reference("chen2020simple", "Ting Chen", "A Simple Framework for Contrastive Learning", "ICML", 2020)
KUKLEVA_2023 = Reference("kukleva2023temperature", "Anna Kukleva", "Temperature Schedules", "ICLR", 2023)
YANG_2020 = Reference("yang2020rethinking", "Yuzhe Yang", "Rethinking the Value of Labels", "NeurIPS", 2020)


def nt_xent(first: Tensor, second: Tensor, t: float) -> Tensor:
    """-log of the partner's share among the 2B - 1 others, the mean of a row's two anchors."""
    z = F.normalize(torch.cat([first, second]), dim=1)
    similar = (z @ z.T / t).masked_fill(torch.eye(len(z), dtype=torch.bool, device=z.device), -torch.inf)
    partner = torch.arange(len(z), device=z.device).roll(len(first))
    return F.cross_entropy(similar, partner, reduction="none").view(2, -1).mean(0)


def encoder(recipe: Recipe, t: Knob) -> Stage:
    """Contrast two views; one text and one training for all that begin with it."""

    def build(data: TrainingSet, previous: Learner | None) -> Built:
        network = recipe.network(data.labeled, "projection", dim=8)
        learner = PairLearner(network, lambda z1, z2, progress: nt_xent(z1, z2, at(t, progress, "t")))
        return Built(learner, data.labeled.drawn(recipe.batch_size, views=("contrast", "contrast")))

    return Stage("encoder", f"encoder(t={t!r})", build, recipe.epochs, recipe.make_optimizer, recipe.learning_rate)


def simclr(*, t: Positive = 0.2, more: Share = 0.6) -> Method:
    """SimCLR: two views of a row attract each other, all else repels; then a linear probe on the frozen features.

    loss = NT-Xent at temperature t, labels unused; then -log softmax(z)_y of the probe.
    """

    def stages(recipe: Recipe) -> Sequence[Stage]:
        again = replace(recipe, epochs=max(1, round(more * recipe.epochs)))

        def build(data: TrainingSet, previous: Learner | None) -> Built:
            assert isinstance(previous, PairLearner)
            network = recipe.network(data.labeled, like=previous.network)
            network.body.load_state_dict(previous.network.body.state_dict())
            learner = SupervisedLearner(network, losses.CrossEntropyLoss(), frozen=["body"])
            return Built(learner, data.labeled.drawn(recipe.batch_size))

        probe = Stage("probe", f"probe(more={more})", build, again.epochs, again.make_optimizer, again.learning_rate)
        return [encoder(recipe, t), probe]

    return Method(stages, CHEN_2020, task="self-supervised", slots=frozenset({"update"}))


def simclr_ts(*, low: PositiveFloat = 0.1, high: PositiveFloat = 1.0, cycles: PositiveFloat = 2.0) -> Method:
    """SimCLR with a temperature schedule; low = high is simclr.

    loss = NT-Xent at t(p) = low + (high - low)(1 + cos(2 pi cycles p)) / 2.
    """
    return replace(simclr(t=Cycle(low, high, cycles)), reference=KUKLEVA_2023)


def ssp(*, base: Base = PLAIN, t: Positive = 0.2) -> Method:
    """SSP: self-supervised first, then `base` from those features.

    loss = NT-Xent; then that of `base`.
    """

    def stages(recipe: Recipe) -> Sequence[Stage]:
        first, *rest = base.stages(recipe)

        def build(data: TrainingSet, previous: Learner | None) -> Built:
            assert isinstance(previous, PairLearner)
            built = first.build(data, None)
            for part in ("standardize", "body"):
                getattr(built.learner.network, part).load_state_dict(getattr(previous.network, part).state_dict())
            return built

        return [encoder(recipe, t), replace(first, spec=f"{first.spec} from {SELF}", build=build), *rest]

    taken, slots = base.taken | {"start"}, base.slots & {"update", "classifier"}  # an encoder has no losses to weigh
    return replace(base, stages=stages, taken=taken, slots=slots, reference=YANG_2020)


METHODS = {"simclr": simclr, "simclr-ts": simclr_ts, "ssp": ssp}
