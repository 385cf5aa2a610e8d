"""Co-teaching: two networks that select for each other what is learnt; over any supervised base of one training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

from longtail.catalogue.compose import PLAIN, BaseMethod
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.data import TrainingSet
from longtail.engine import Built, Recipe, Stage
from longtail.facts.knobs import PositiveFloat
from longtail.facts.learner import Learner
from longtail.learners import CoTeaching
from longtail.methods.noisy.forgetting import Ramp, Rate, by_stage, forgotten, late
from longtail.updates import Descend

SLOTS = ("weights", "update", "mixing")
FREE = frozenset({"classifier", "linear head"})
"""What a correction over it can fill: what follows on the trained network, not what changes one of two."""


@dataclass(frozen=True)
class OneTraining(BaseMethod):
    """A base whose training is one stage: two networks cannot go on from one that was trained before."""

    def check(self, name: str, value: Any) -> None:
        """Raise ValueError where two networks cannot be trained by the method."""
        super().check(name, value)
        stages = value.stages(Recipe())
        if len(stages) > 1:
            why = f"which trains in {len(stages)} stages"
            raise ValueError(f"{name} must be {self}, got {value.spec!r}, {why}; choose one of longtail methods")


Base = Annotated[Method, OneTraining(slots=SLOTS)]


def co_teaching(
    *,
    base: Base = PLAIN,
    rate: Rate = 0.2,
    ramp: Ramp = 0.05,
    exponent: PositiveFloat = 1.0,
    by_class: bool = False,
) -> Method:
    """Co-teaching: two networks, each trained on the rows whose losses are small for the other; for noisy labels.

    loss = mean of l_1 over S_2 + mean of l_2 over S_1, S_k the floor((1 - R) B) rows of the batch of B with the
    smallest losses of network k, one at least; R(e) = rate^exponent e / (T - 1) in the first T epochs, the share `ramp`
    of all, then rate. l_k is the loss of `base`, in the k-th of two networks that it has initialised one after the
    other.

    Rows are ranked by their own losses: class weights and sample weights are left out of the ranking and stay in the
    loss. by_class=True ranks the rows of each class by themselves and keeps ceil((1 - R) n_j) of the n_j in the batch,
    so that no class is left out. rate = 0 is two trainings of `base`, the first of them `base` itself. The first
    network predicts.

    Cost: two networks, twice the time and memory of `base`.

    Han et al. 2018, algorithm 1.

    Works: Networks learn right labels first, and two of them err in different rows, so that one filters the other's
    errors. Where `rate` is the share of wrong labels: the default is our choice. Where it is unknown, try 0.2, 0.3 and
    0.4 and choose on validation rows (the advice of JoCoR's authors, whose rows have wrong labels, too), or take the
    share of suspect labels.

    Breaks: Under a long tail the rows of rare classes have large losses with right labels, and one ranking of all rows
    leaves them out: that is the method and the default; by_class=True is our variant for this case. It rounds up, so
    that of one or two rows that a batch has of a class it leaves out none or one, wrong or not: it wants large batches.
    A rate that is too high leaves out right labels in every epoch.

    Paper and code: The code divides the mean over the selected rows by their number once more, which shrinks the
    learning rate of plain gradient descent by that number; here it is divided once. ramp is 10 of their 200 epochs.
    The recipe replaces theirs: a CNN of 9 convolutions, Adam with learning rate 0.001 that falls linearly from
    epoch 80 (100 for CIFAR-100) on, where beta_1 drops from 0.9 to 0.1, batches of 128, at most 400 steps an epoch.
    They report both networks.
    """

    def make(stage: Stage, data: TrainingSet, previous: Learner | None) -> Built:
        first, second = stage.build(data, previous), stage.build(data, previous)
        if type(first.update) is not Descend:
            kind = type(first.update).__name__
            raise ValueError(f"base must take plain gradient steps, got {kind}; choose another base")
        learner = CoTeaching(first.learner, second.learner, forgotten(stage, rate, ramp, exponent), by_class=by_class)
        return first._replace(learner=learner)

    return replace(
        base,
        stages=by_stage(base, make),
        taken=base.taken | set(SLOTS),
        slots=base.slots & FREE,
        late=late(rate, ramp),
        reference=cited("han2018co"),
    )
