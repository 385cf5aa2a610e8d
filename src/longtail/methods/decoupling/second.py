"""The second stage of decoupled training: the classifier alone, on the features of a finished training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from longtail.catalogue.implied import Implied
from longtail.catalogue.method import SELF, Method
from longtail.catalogue.one_stage import stage_under
from longtail.catalogue.references import cited
from longtail.catalogue.slots import UNLABELED
from longtail.data import Part, TrainingSet
from longtail.engine import Built, Recipe, Stage
from longtail.facts.learner import Learner
from longtail.learners import CoTeaching, SemiSupervisedLearner, SupervisedLearner

Make = Callable[[nn.Module, Part, Recipe], Built]
"""The trained network, which is not to be changed, the rows and the recipe -> what the second stage trains."""
MORE = 0.15
"""30 epochs after 200: iNaturalist in the paper, and CIFAR in the Bag of Tricks of Zhang et al. 2021."""


def retrained(
    base: Method,
    make: Make,
    *,
    more: float,
    prior: Implied | None,
    slots: Sequence[str] = ("classifier",),
    reference: str = "kang2020decoupling",
    lr: float | None = None,
    warmup: int | None = None,
    weight_decay: float | None = None,
    **fields: Any,
) -> Method:
    """Return the base with a second stage that trains its classifier; more=0 omits the stage.

    Args:
        base: the first stage or stages, shared with the base itself.
        make: what the second stage trains.
        more: the share of the recipe's epochs that it lasts, at least one.
        prior: of the scores after it.
        slots: of the base that it fills.
        reference: key of the paper.
        lr: its learning rate; None is the recipe's.
        warmup: its epochs of warm-up; None is the recipe's rule.
        weight_decay: its weight decay; None is the recipe's.
        fields: further ones of the method, such as `own`.
    """

    def stages(recipe: Recipe) -> Sequence[Stage]:
        if more == 0:
            return base.stages(recipe)
        decay = recipe.weight_decay if weight_decay is None else weight_decay
        epochs = max(1, round(more * recipe.epochs))
        second = replace(recipe, epochs=epochs, lr=recipe.lr if lr is None else lr, weight_decay=decay)
        second = second if warmup is None else replace(second, warmup=warmup)
        return [*base.stages(recipe), after("classifier", make, second, epochs)]

    prior = base.prior if more == 0 else prior
    return decoupled(base, slots=slots, reference=reference, stages=stages, prior=prior, **fields)


def after(name: str, make: Make, recipe: Recipe, epochs: int) -> Stage:
    """Return a stage that starts from the trained network of the stage before."""

    def build(data: TrainingSet, previous: Learner | None) -> Built:
        assert isinstance(previous, SupervisedLearner | SemiSupervisedLearner | CoTeaching)
        trained = previous.average if isinstance(previous, SemiSupervisedLearner) else previous.network
        return make(trained, data.labeled, recipe)

    return stage_under(recipe, name, SELF, build, epochs)


def decoupled(
    base: Method, *, slots: Sequence[str] = ("classifier",), reference: str = "kang2020decoupling", **fields: Any
) -> Method:
    """Return the base with these fields and with its slots for the classifier filled.

    Of its other slots, those for rows without labels belong below, as in crt(base="abc").
    """
    taken, free = base.taken | set(slots), base.slots - UNLABELED
    return replace(base, taken=taken, slots=free, reference=cited(reference), **fields)
