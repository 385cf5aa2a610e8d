"""Trainings of so few epochs that a part of the method never takes effect: what is missing, and how many have it."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace

from longtail.catalogue.one_stage import MakeStages
from longtail.engine import Recipe, Stage
from longtail.engine.recipe import MOST_EPOCHS
from longtail.facts.late import Late


def too_short(stages: MakeStages, recipe: Recipe, *, needed: bool) -> str | None:
    """Return which part of a method has no effect in any epoch, with the way out; None where all parts have.

    Args:
        stages: of the method.
        recipe: of its training.
        needed: whether only parts count without which nothing is learnt.
    """
    found = next(((stage, late) for stage, late in _missing(stages, recipe) if late.needed or not needed), None)
    if found is None:
        return None
    stage, late = found
    where = "" if stage.epochs == recipe.epochs else f" in {stage.name}, which has {stage.epochs} of them"
    others = f", or {late.otherwise}" if late.otherwise else ""
    return (
        f"epochs must be at least {enough(stages, recipe)} for {late.what} to take effect{where}, got "
        f"{recipe.epochs}; raise --epochs (epochs=){others}"
    )


def without_effect(stages: MakeStages, recipe: Recipe) -> str | None:
    """Return a sentence on the parts of a method that have no effect in any epoch; None where all have."""
    parts = list(dict.fromkeys(late.what for _, late in _missing(stages, recipe)))
    if not parts:
        return None
    epochs = f"{recipe.epochs} epoch{'s' * (recipe.epochs > 1)}"
    return f"{' and '.join(parts)} without effect in {epochs}; raise --epochs to at least {enough(stages, recipe)}"


def _missing(stages: MakeStages, recipe: Recipe) -> list[tuple[Stage, Late]]:
    return [(stage, late) for stage in stages(recipe) for late in stage.missing()]


def enough(stages: MakeStages, recipe: Recipe) -> int:
    """Return the smallest number of epochs, the recipe's or more, in which every part takes effect."""

    def all_act(epochs: int) -> bool:
        return not _missing(stages, replace(recipe, epochs=epochs))

    most = recipe.epochs
    while most < MOST_EPOCHS and not all_act(most):
        most = min(2 * most, MOST_EPOCHS)
    return bisect_left(range(most), True, recipe.epochs, key=all_act)
