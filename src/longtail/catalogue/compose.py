"""Instance weights over any supervised method: its own training, its own loss, and weights on every example's loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from torch import Tensor, nn

from longtail.catalogue.method import MakeStages, Method
from longtail.data import Part
from longtail.engine import Recipe, Stage
from longtail.facts.knobs import Choice, Knob, Range
from longtail.facts.types import Learner, TrainingData
from longtail.instance_weights.ranges import START
from longtail.learners import SupervisedLearner
from longtail.updates import Descend

MakeWeights = Callable[[Part], nn.Module]
"""Training part -> weights, where they are remembered per example or per class."""


@dataclass(frozen=True)
class NonZero(Range):
    """Any number but 0, infinite ones too, or a schedule of such numbers."""

    def __str__(self) -> str:
        return "a number other than 0, or inf for the plain mean"

    def holds(self, value: float) -> bool:
        """Whether it is not 0."""
        return value != 0


@dataclass(frozen=True)
class BaseMethod(Choice):
    """A knob that names a method: one that trains a network on labels by steps, and does not weigh examples already.

    `resolve` makes a `Method` of the name before it asks this rule and calls the builder.
    """

    words: tuple[str, ...] = ("ce", "ce-drw", "focal-drw", "ldam-drw")  # only the first of many

    def __str__(self) -> str:
        return 'a supervised method that trains a network, such as "ce" or "ldam-drw(scale=20)"'

    def check(self, name: str, value: Any) -> None:
        """Raise ValueError where instance weights cannot act on the method.

        Raises:
            TypeError: no `Method`; a builder was called without `resolve`.
        """
        if not isinstance(value, Method):
            raise TypeError(f"{name} must be a Method, got {value!r}; resolve the spec of the whole method")
        why = unfit(value)
        if why is not None:
            raise ValueError(f"{name} must be {self}, got {value.spec!r}, {why}; choose one of longtail methods")


Lambda = Annotated[Knob, NonZero()]
Gamma = Annotated[Knob, Range(0, 1, open_low=True)]
Start = Annotated[str | float, START]
Base = Annotated[Method, BaseMethod()]
PLAIN: Any = "ce"
"""The default of a base: a spec, like any that is asked for; what a builder gets is the `Method`."""


def unfit(found: Method) -> str | None:
    """Why instance weights cannot act on a method, or None where they can."""
    if found.posthoc is not None:
        return "which only corrects the scores of another training"
    stages = found.stages(Recipe()) if found.task == "supervised" else ()
    if not stages or not all(isinstance(stage.update, Descend) for stage in stages):
        return "whose training is not one of gradient steps on labelled examples"
    if any(MARK in stage.spec for stage in stages):
        return "which weighs its examples already"
    return None


MARK = " x "
"""Between the text of a training and that of its weights."""


def weighed(base: Method, text: str, make: MakeWeights) -> MakeStages:
    """The stages of `base`, with instance weights over the per-example losses in every one of them.

    The losses that are weighed carry class and sample weights already, and are divided by the batch, not by the sum of
    those weights.

    Args:
        base: a supervised method.
        text: canonical text of the weights.
        make: training part -> fresh weights.
    """
    return lambda recipe: [_weighed(stage, text, make) for stage in base.stages(recipe)]


def _weighed(stage: Stage, text: str, make: MakeWeights) -> Stage:
    def build(data: Part, left: Learner | None) -> tuple[Learner, TrainingData]:
        learner, drawn = stage.build(data, left)
        return with_weights(learner, make(data)), drawn

    return replace(stage, spec=f"{stage.spec}{MARK}{text}", build=build)


def with_weights(learner: Learner, weights: nn.Module, frozen: Sequence[str] = ()) -> SupervisedLearner:
    """The same network, loss and targets, weighed; `frozen` as in `SupervisedLearner`."""
    learner = unweighed(learner)
    return SupervisedLearner(
        learner.network,
        learner.loss,
        targets=learner.targets,
        weights=weights,
        no_decay=learner.no_decay,
        frozen=[*learner.frozen, *frozen],
    )


def unweighed(learner: Learner | None) -> SupervisedLearner:
    """The learner, where weights can be put on its losses.

    Raises:
        ValueError: it is another kind of learner, or has weights.
    """
    if isinstance(learner, SupervisedLearner) and learner.weights is None:
        return learner
    kind = "one with weights" if isinstance(learner, SupervisedLearner) else type(learner).__name__
    raise ValueError(f"base must train a SupervisedLearner without weights, got {kind}; choose another base")


def text(name: str, **knobs: Any) -> str:
    """`name(knob=value,...)` with every number written as a float, so that one training has one text."""
    return f"{name}({','.join(f'{knob}={number(value)!r}' for knob, value in knobs.items())})"


def number(value: Any) -> Any:
    """An integer as a float; everything else, schedules and flags among it, as it is."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def worked_example(weights: Callable[[float], nn.Module], lams: Sequence[float], losses: Tensor) -> list[str]:
    """What two losses weigh against each other at each lambda, as the weights themselves have it.

    Args:
        weights: lambda -> weights.
        lams: the values of lambda.
        losses: (2,), the smaller first.
    """
    small, large = losses.tolist()
    lines = []
    for lam in lams:
        found: Any = weights(lam)
        first, second = found.weigh(losses).tolist()
        ratio = second / first
        lines.append(f"lambda {lam:g}: a loss of {large:g} weighs {ratio:.3g} times a loss of {small:g}")
    return lines
