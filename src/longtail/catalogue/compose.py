"""Corrections over a base method: weights on its losses, another kind of step; all else of the base is unchanged.

A correction fills slots (`Method.slots`) and declares them (`Method.taken`). Where the base has no such slot free, it
is refused when the spec is resolved; where a slot turns out to be filled, when the stage is built.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from torch import Tensor, nn

from longtail.catalogue.method import SELF, Check, MakeStages, Method
from longtail.data import Part, TrainingSet
from longtail.data.rows import BatchedRows
from longtail.data.views import Mixing
from longtail.engine import Built, Recipe, Stage
from longtail.facts.knobs import Choice, Knob, Range
from longtail.facts.learner import Learner
from longtail.facts.types import Update
from longtail.instance_weights.ranges import START
from longtail.learners import SupervisedLearner
from longtail.learners.mixing import Mixer
from longtail.models.bodies.stages import places
from longtail.models.own import OwnBody
from longtail.updates import Descend

MakeWeights = Callable[[Part], nn.Module]
"""Labelled rows -> weights, which may be stored per example or per class."""
Change = Callable[[Built, TrainingSet], Built]
"""What a stage of the base has built, and all rows -> what is trained instead."""
MakeUpdate = Callable[[TrainingSet], Update]
"""All rows -> the kind of step."""
Rows = Callable[[TrainingSet], TrainingSet]
"""All rows -> those that the base is built on, where the correction needs some for itself (a meta set)."""


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
    """A knob that names a method: one that trains a network by steps and has these slots free.

    `resolve` turns the name into a `Method` before it checks this rule and calls the builder.

    Args:
        words: some methods that fit.
        slots: those that the correction fills.
        task: of the base, or several; None accepts any.
        such: examples for messages.
        alike: whether the twin of the method is the same over the twin of its base, not the base itself.
    """

    words: tuple[str, ...] = ("ce", "ce-drw", "focal-drw", "ldam-drw")  # only the first of many
    slots: tuple[str, ...] = ("weights",)
    task: str | tuple[str, ...] | None = "supervised"
    such: tuple[str, ...] = ("ce", "ldam-drw(scale=20)")
    alike: bool = False

    def __str__(self) -> str:
        examples = " or ".join(f'"{spec}"' for spec in self.such)
        tasks = " or ".join(self._tasks)
        return f"a {tasks + ' ' if tasks else ''}method that trains a network, such as {examples}"

    @property
    def _tasks(self) -> tuple[str, ...]:
        return (self.task,) if isinstance(self.task, str) else self.task or ()

    def check(self, name: str, value: Any) -> None:
        """Raise ValueError where the correction cannot act on the method.

        Raises:
            TypeError: not a `Method`; a builder was called without `resolve`.
        """
        if not isinstance(value, Method):
            raise TypeError(f"{name} must be a Method, got {value!r}; resolve the spec of the whole method")
        fits = self.task is None or value.task in self._tasks
        why = value.refuses_slots(*self.slots) if fits else f"which is {value.task}"
        if why is not None:
            raise ValueError(f"{name} must be {self}, got {value.spec!r}, {why}; choose one of longtail methods")


Lambda = Annotated[Knob, NonZero()]
Gamma = Annotated[Knob, Range(0, 1, open_low=True)]
Start = Annotated[str | float, START]
Base = Annotated[Method, BaseMethod()]
PLAIN: Any = "ce"
"""The default of a base: a spec, like any that a user writes; the builder gets the `Method`."""


def corrected(
    base: Method,
    slots: str | Collection[str],
    change: Change,
    *,
    rows: Rows | None = None,
    check: Check | None = None,
    eager: str = "",
    **more: Any,
) -> Method:
    """Return the base with `change` made to each of its stages, and nothing else changed.

    Args:
        base: the method underneath.
        slots: those that the change fills.
        change: applied to what each stage has built.
        rows: which rows the stages are built on; None for all.
        check: of recipe and rows before training, beside those of the base.
        eager: why its steps cannot be captured, see `Stage`; empty where they can.
        more: fields of the method to replace, such as `reference`.
    """
    taken = base.taken | ({slots} if isinstance(slots, str) else set(slots))
    checks = base.checks if check is None else (*base.checks, check)
    return replace(base, stages=changed_stages(base, change, rows, eager), taken=taken, checks=checks, **more)


def changed_stages(base: Method, change: Change, rows: Rows | None = None, eager: str = "") -> MakeStages:
    """Return the stages of `base`, each but preparatory ones built on `rows` of the data and then changed."""

    def of(stage: Stage) -> Stage:
        def build(data: TrainingSet, previous: Learner | None) -> Built:
            return change(stage.build(data if rows is None else rows(data), previous), data)

        return replace(stage, spec=f"{stage.spec} x {SELF}", build=build, eager=stage.eager or eager)

    return lambda recipe: [stage if stage.preparatory else of(stage) for stage in base.stages(recipe)]


def with_weights(make: MakeWeights) -> Change:
    """Put instance weights on the per-example losses.

    The weighted losses carry class and sample weights already, and are divided by the batch, not by the sum of
    those weights.
    """
    return lambda built, data: built._replace(learner=weighted_learner(built.learner, make(data.labeled)))


def with_update(make: MakeUpdate) -> Change:
    """Replace the kind of step when the stage is built.

    Raises:
        ValueError: the base has its own kind of step, which would be lost.
    """

    def change(built: Built, data: TrainingSet) -> Built:
        if type(built.update) is not Descend:
            kind = type(built.update).__name__
            raise ValueError(f"base must take plain gradient steps, got {kind}; choose another base")
        return built._replace(update=make(data))

    return change


def with_mixing(alpha: float, place: str = "input", *, remix: tuple[float, float] | None = None) -> Change:
    """Mix the examples of every batch, in a share from Beta(alpha, alpha).

    Args:
        alpha: > 0.
        place: in the network, one of its `places` or "random".
        remix: (kappa, tau) of the labels, or None for labels that are mixed as the inputs are.

    Raises:
        ValueError: when the stage is built: a base of another kind or with mixing, or a network without this place.
    """

    def change(built: Built, data: TrainingSet) -> Built:
        learner, rows = built.learner, built.data
        if (
            not isinstance(learner, SupervisedLearner)
            or learner.mixing is not None
            or not isinstance(rows, BatchedRows)
            or (rows.views and rows.view_of is None)
        ):
            raise ValueError(
                "base must train a SupervisedLearner without mixing on one view of labelled rows; choose another base"
            )
        places = getattr(learner.network, "places", ())
        if (why := _no_place(place, places)) is not None:
            raise ValueError(why)
        number = None if place == "random" else places.index(place)
        mixer = Mixer(len(places), number)
        if remix is not None:
            mixer = Mixer(len(places), number, counts=data.labeled.class_counts, kappa=remix[0], tau=remix[1])
        return built._replace(learner=learner.varied(mixing=mixer), data=replace(rows, mixing=Mixing(alpha)))

    return change


def has_place(place: str) -> Check:
    """Return the check that the recipe's network has a place at which hidden values are mixed."""

    def check(recipe: Recipe, rows: Part) -> str | None:
        if place in ("random", "input", "features"):
            return None  # every network has these
        sketch: Any = OwnBody(nn.Identity()) if recipe.own is not None else recipe.sketch(rows).body
        return _no_place(place, places(sketch))

    return check


def _no_place(place: str, known: Sequence[str]) -> str | None:
    if known and place in ("random", *known):
        return None
    words = ", ".join(("random", *known)) if known else "none"
    return f"place must be one of {words} for this network, got {place!r}; choose one of these"


def weighted_learner(learner: Learner | None, weights: nn.Module, frozen: Sequence[str] = ()) -> SupervisedLearner:
    """Return the same learner with weights on its losses; `frozen` modules are added to its frozen ones.

    Raises:
        ValueError: it is another kind of learner, or has weights.
    """
    if isinstance(learner, SupervisedLearner) and learner.weights is None:
        return learner.varied(weights=weights, frozen=[*learner.frozen, *frozen])
    kind = "one with weights" if isinstance(learner, SupervisedLearner) else type(learner).__name__
    raise ValueError(f"base must train a SupervisedLearner without weights, got {kind}; choose another base")


def worked_example(weights: Callable[[float], nn.Module], lams: Sequence[float], losses: Tensor) -> list[str]:
    """Compute the ratio of the weights of two losses at each lambda.

    Args:
        weights: lambda -> weights.
        lams: the values of lambda.
        losses: (2,), the smaller first.
    """
    small, large = losses.tolist()
    lines = []
    for lam in lams:
        weighting: Any = weights(lam)
        first, second = weighting.weigh(losses).tolist()
        ratio = second / first
        lines.append(f"lambda {lam:g}: a loss of {large:g} weighs {ratio:.3g} times a loss of {small:g}")
    return lines
