"""A method: a named recipe. Task, stages, post-hoc rule, reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from longtail.catalogue.implied import Implied
from longtail.catalogue.late import enough, too_short, without_effect
from longtail.catalogue.one_stage import SELF, MakeDraw, MakeLoss, MakeStages, one_stage
from longtail.catalogue.references import Reference
from longtail.catalogue.search import Search
from longtail.catalogue.slots import ALREADY, COSINE, SLOTS
from longtail.catalogue.start import refuses_start
from longtail.catalogue.tasks import PARTIAL, SUPERVISED, TASKS, unmet_needs
from longtail.data import Part
from longtail.engine import Recipe, Stage
from longtail.engine.recipe import USUAL
from longtail.facts.knobs import Declared
from longtail.facts.late import Late
from longtail.models import body_arguments

MakeRule = Callable[[Tensor], nn.Module]
Example = Callable[[], list[str]] | None
Misfit = Callable[[Part], str | None]
"""Training part -> why a method cannot learn from it, with the way out, or None."""
Check = Callable[[Recipe, Part], str | None]
"""Recipe and labelled rows -> why they do not go together with a method, with the way out, or None."""
Note = Callable[[Part], str | None]
"""Labelled rows -> a sentence for the reader of a table, or None."""

__all__ = ["ALREADY", "COSINE", "SELF", "SLOTS", "MakeDraw", "MakeLoss", "MakeStages", "Method", "one_stage"]


@dataclass(frozen=True)
class Knobs:
    """The knobs of a resolved method.

    Args:
        declared: by name, with range and default.
        values: by name; of a base its spec.
        varied: values in place of some -> the method with these; raises ValueError where they do not go together.
    """

    declared: Mapping[str, Declared]
    values: Mapping[str, Any]
    varied: Callable[[Mapping[str, Any]], Method]


@dataclass(frozen=True)
class Method:
    """A named way to learn.

    Args:
        stages: recipe -> the stages to train.
        reference: where it comes from.
        posthoc: class counts -> a rule on the scores of the trained model, or None.
        prior: class counts -> the class prior of the scores (see `catalogue.implied`); None means the counts.
        needs_val: whether the rule is fitted on a validation part.
        tuned_for: the knob with the objective of that fit, which a comparison sets to its metric (`catalogue.aims`).
        needs_truth: whether it learns from the true labels of all rows, as only methods shown for context may.
        keeps_labels: whether it learns from the labels that the rows have, and of the truth from class counts alone
            (`data.true_labels.TrueCounts`).
        task: the kind of labels it learns from, one of `catalogue.tasks.TASKS`.
        inputs: what it learns from: "any", "images", or "table or features" where each example is a row of numbers.
        misfit: which training parts it refuses, and why; None where it accepts all.
        checks: further conditions, on recipe and training part together; a correction adds its own to its base's.
        notes: what a table says of it and of these training rows, such as a row that is used twice.
        late: what has no effect at the start of its training, besides what its knobs say of that (`facts.late`);
            `named` puts it into the stages, for their epochs.
        slots: those of `ALREADY` that a correction over this method can fill; one that needs another is refused.
        taken: the slots that it has filled, itself or a base below it.
        body_args: arguments of the network's body that it sets, and their values; a network without them is refused.
        own: what its paper changes in a recipe of the kind "own"; a value may be a function of the number of epochs.
        projects: width of its encoder's projections, or features' width -> it; None where not known before training.
        twin: the plain method of the same model, without what this one adds: its key, and once the spec is resolved
            its spec. A correction's is its base; None means the task's reference; a plain method names itself.
        trains: what is trained, in words.
        search: how it chooses, on validation rows, what is trained in place of `stages`.
        example: lines of a worked example of the method's own parts, for `longtail explain`.
        given: the classifier of the user's that it is a row of (`methods.given`).
        knobs: what it was built with, and how to build it with others; set when the spec is resolved.
        key, spec: its name, and the canonical string of name and knobs; set when the spec is resolved.
    """

    stages: MakeStages
    reference: Reference
    posthoc: MakeRule | None = None
    prior: Implied | None = None
    needs_val: bool = False
    tuned_for: str | None = None
    needs_truth: bool = False
    keeps_labels: bool = False
    task: str = SUPERVISED
    inputs: str = "any"
    misfit: Misfit | None = None
    checks: tuple[Check, ...] = ()
    notes: tuple[Note, ...] = ()
    late: tuple[Late, ...] = ()
    slots: frozenset[str] = SLOTS
    taken: frozenset[str] = frozenset()
    body_args: Mapping[str, Any] = field(default_factory=dict)
    projects: int | Callable[[int], int] | None = None
    own: Mapping[str, Any] = field(default_factory=dict)
    twin: str | None = None
    trains: str = "a network"
    search: Search | None = None
    example: Example = None
    given: Any = None
    knobs: Knobs | None = None
    key: str = ""
    spec: str = ""

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ValueError(f"task must be one of {', '.join(TASKS)}, got {self.task!r}; choose the nearest of these")

    def named(self, key: str, spec: str, text: str = "", late: tuple[Late, ...] = ()) -> Method:
        """Return the same method under its resolved name.

        Args:
            key, spec: as in the class.
            text: name and all knobs, put into its stages' texts where these are not written by hand.
            late: what its knobs make begin late, in the stages with that text.
        """
        own = (*self.late, *late)

        def stages(recipe: Recipe) -> Sequence[Stage]:
            steps = recipe.steps if self.slots else None  # a method without slots makes no optimiser steps
            common: dict[str, Any] = {"steps": steps, "augmentation": recipe.augmentation}
            return [
                replace(
                    stage,
                    spec=stage.spec.replace(SELF, text or spec),
                    late=(*stage.late, *own) if SELF in stage.spec else stage.late,
                    **common,
                )
                for stage in self.stages(recipe)
            ]

        return replace(self, key=key, spec=spec, stages=stages, late=())

    def refuses_slots(self, *slots: str) -> str | None:
        """Return why a correction cannot fill these slots, or None where it can."""
        if self.search is not None:
            return "which searches for its own training; tune the corrected method"
        if self.posthoc is not None:
            return "which only corrects the scores of another training"
        if not self.slots:
            return "whose training is not one of gradient steps on labelled examples"
        filled = self.taken if self.prior is None else self.taken | {"shares"}
        taken = [slot for slot in slots if slot in filled]
        if taken:
            return ALREADY[taken[0]]
        missing = [slot for slot in slots if slot not in self.slots]
        return f"which has no {missing[0]} to take up" if missing else None

    def under(self, recipe: Recipe) -> Recipe:
        """Return the recipe it is trained with: the common one, or with its own paper's changes."""
        own = {name: v(recipe.epochs) if callable(v) else v for name, v in self.own.items()}
        return replace(recipe, **own) if recipe.kind == "own" else recipe

    def refuses(self, rows: Part, unlabeled: Part | None = None) -> str | None:
        """Return why it cannot learn from these training rows, in one line with the way out; None where it can.

        Args:
            rows: with the labels of training, of whatever kind.
            unlabeled: further rows without labels.
        """
        if self.needs_truth and not self.keeps_labels:
            return None  # whatever labels the rows have; `data.true_labels` refuses data without true ones
        if (why := unmet_needs(self.task, rows, unlabeled)) is not None:
            return f"method {self.key!r} is {self.task} and {why}"
        why = None if self.misfit is None else self.misfit(rows)
        return None if why is None else f"method {self.key!r} {why}"

    def refuses_recipe(self, recipe: Recipe, rows: Part) -> str | None:
        """Return why it cannot be trained by this recipe on these labelled rows, with the way out; None where it can.

        Raises:
            ValueError: the recipe's network cannot take these rows, whatever the method.
        """
        recipe = self.under(recipe)
        if recipe.augmentation != USUAL and (why := self._cannot_augment()) is not None:
            got = f"{why}, got {recipe.augmentation}; leave it out"
            return f"augmentation must be {USUAL} for method {self.spec!r}, {got}"
        if (why := self._lacks(recipe, rows)) is not None:
            return f"method {self.spec!r} needs a network {why}"
        recipe = replace(recipe, model_args={**recipe.model_args, **self.body_args})
        instead = None if self.slots or self.task != SUPERVISED else self.trains
        if (why := refuses_start(recipe, rows, taken=self.taken, instead=instead)) is not None:
            return f"method {self.spec!r} {why}"
        why = next((why for check in self.checks if (why := check(recipe, rows)) is not None), None)
        why = why or self.too_short(recipe)
        return None if why is None else f"method {self.spec!r}: {why}"

    def too_short(self, recipe: Recipe) -> str | None:
        """Return what never takes effect in a training of so few epochs, with the way out; None where everything does.

        Of a supervised method, only a part without which nothing is learnt: a quick trial trains the rest nevertheless,
        and the table notes it (`without_effect`).
        """
        return too_short(self.stages, self.under(recipe), needed=self.task == SUPERVISED)

    def long_enough(self, recipe: Recipe) -> Recipe:
        """Return the recipe, with the fewest epochs that are not too short in place of its own where these are."""
        if self.too_short(recipe) is None:
            return recipe
        return replace(recipe, epochs=enough(self.stages, self.under(recipe)))

    def without_effect(self, recipe: Recipe) -> str | None:
        """Return a note on what never takes effect in a training of so few epochs; None where everything does."""
        return without_effect(self.stages, self.under(recipe))

    def _cannot_augment(self) -> str | None:
        if not self.slots:
            return "which makes no steps"
        return None if self.task in (SUPERVISED, PARTIAL) else f"which is {self.task} and has views of its own"

    def _lacks(self, recipe: Recipe, rows: Part) -> str | None:
        """Return which network it needs in place of the recipe's; None where that takes `body_args`."""
        needed = " and ".join(sorted(self.body_args))
        if not needed:
            return None
        if recipe.own is not None:
            return (
                f"of longtail's, for which it sets {needed}, got network={recipe.own.name}; leave out the method, or "
                "network="
            )
        name = recipe.builder(rows)["name"]
        if self.body_args.keys() <= body_arguments(name):
            return None
        return (
            f"that takes {needed}, got {name}, which does not; leave out the method, or choose another network with "
            "--model (model=)"
        )

    @property
    def retrains(self) -> bool:
        """Whether it trains; False where it only corrects the scores of another training."""
        return self.posthoc is None


Builder = Callable[..., Method]
"""Keyword-only knobs -> the method."""
Builders = Mapping[str, Builder]
"""Key -> builder: a catalogue."""
