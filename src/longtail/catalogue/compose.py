"""Corrections over a base method: weights on its losses, another kind of step; nothing of the base is lost.

A correction takes up slots (`Method.slots`) and declares them (`Method.taken`). Where the base has none to take up, it
is refused when the spec is resolved; where a slot turns out to be filled nevertheless, when the stage is built.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from torch import Tensor, nn

from longtail.catalogue.method import SELF, MakeStages, Method
from longtail.data import Part, TrainingSet
from longtail.engine import Built, Stage
from longtail.facts.knobs import Choice, Knob, Range
from longtail.facts.learner import Learner
from longtail.facts.types import Update
from longtail.instance_weights.ranges import START
from longtail.learners import SupervisedLearner
from longtail.updates import Descend

MakeWeights = Callable[[Part], nn.Module]
"""Labelled rows -> weights, where they are remembered per example or per class."""
Change = Callable[[Built, TrainingSet], Built]
"""What a stage of the base trains, and all rows -> what is trained instead."""
MakeUpdate = Callable[[TrainingSet], Update]
"""All rows -> the kind of step."""
Rows = Callable[[TrainingSet], TrainingSet]
"""All rows -> those that the base is built on, where the correction keeps some to itself (a meta set)."""


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
    """A knob that names a method: one that trains a network by steps and has these slots to take up.

    `resolve` makes a `Method` of the name before it asks this rule and calls the builder.

    Args:
        words: some methods that fit.
        slots: what the correction takes up.
        task: of the base; None takes any.
        such: how messages say it by example.
    """

    words: tuple[str, ...] = ("ce", "ce-drw", "focal-drw", "ldam-drw")  # only the first of many
    slots: tuple[str, ...] = ("weights",)
    task: str | None = "supervised"
    such: tuple[str, ...] = ("ce", "ldam-drw(scale=20)")

    def __str__(self) -> str:
        examples = " or ".join(f'"{spec}"' for spec in self.such)
        return f"a {self.task + ' ' if self.task else ''}method that trains a network, such as {examples}"

    def check(self, name: str, value: Any) -> None:
        """Raise ValueError where the correction cannot act on the method.

        Raises:
            TypeError: no `Method`; a builder was called without `resolve`.
        """
        if not isinstance(value, Method):
            raise TypeError(f"{name} must be a Method, got {value!r}; resolve the spec of the whole method")
        why = value.lacks(*self.slots) if self.task in (None, value.task) else f"which is {value.task}"
        if why is not None:
            raise ValueError(f"{name} must be {self}, got {value.spec!r}, {why}; choose one of longtail methods")


Lambda = Annotated[Knob, NonZero()]
Gamma = Annotated[Knob, Range(0, 1, open_low=True)]
Start = Annotated[str | float, START]
Base = Annotated[Method, BaseMethod()]
PLAIN: Any = "ce"
"""The default of a base: a spec, like any that is asked for; what a builder gets is the `Method`."""


def over(
    base: Method, slots: str | Collection[str], change: Change, *, rows: Rows | None = None, **more: Any
) -> Method:
    """The base with `change` made to every one of its stages; whatever else it is stays.

    Args:
        base: the method underneath.
        slots: what the change takes up.
        change: applied to what each stage has built.
        rows: which rows the stages are built on; None for all.
        more: fields of the method to replace, such as `reference`.
    """
    taken = base.taken | ({slots} if isinstance(slots, str) else set(slots))
    return replace(base, stages=changed(base, change, rows), taken=taken, **more)


def changed(base: Method, change: Change, rows: Rows | None = None) -> MakeStages:
    """The stages of `base`, each built on `rows` of the data and with the change made to what it builds."""

    def of(stage: Stage) -> Stage:
        def build(data: TrainingSet, previous: Learner | None) -> Built:
            return change(stage.build(data if rows is None else rows(data), previous), data)

        return replace(stage, spec=f"{stage.spec} x {SELF}", build=build)

    return lambda recipe: [of(stage) for stage in base.stages(recipe)]


def weighing(make: MakeWeights) -> Change:
    """Instance weights over the per-example losses.

    The losses that are weighed carry class and sample weights already, and are divided by the batch, not by the sum of
    those weights.
    """
    return lambda built, data: built._replace(learner=weighed(built.learner, make(data.labeled)))


def stepping(make: MakeUpdate) -> Change:
    """Another kind of step, made when the stage is built.

    Raises:
        ValueError: the base takes steps of its own kind, which would be lost.
    """

    def change(built: Built, data: TrainingSet) -> Built:
        if type(built.update) is not Descend:
            kind = type(built.update).__name__
            raise ValueError(f"base must take plain gradient steps, got {kind}; choose another base")
        return built._replace(update=make(data))

    return change


def weighed(learner: Learner | None, weights: nn.Module, frozen: Sequence[str] = ()) -> SupervisedLearner:
    """The same learner with weights on its losses; `frozen` modules are added to those that stand still.

    Raises:
        ValueError: it is another kind of learner, or has weights.
    """
    if isinstance(learner, SupervisedLearner) and learner.weights is None:
        return learner.varied(weights=weights, frozen=[*learner.frozen, *frozen])
    kind = "one with weights" if isinstance(learner, SupervisedLearner) else type(learner).__name__
    raise ValueError(f"base must train a SupervisedLearner without weights, got {kind}; choose another base")


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
