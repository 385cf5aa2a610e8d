"""What the data, their preparation and the methods of a comparison have to say."""

from __future__ import annotations

from longtail.catalogue.choose import without_effect
from longtail.comparison.plan import Plan
from longtail.engine.selection import BEST_TEST, LAST
from longtail.runs.selected import OPTIMISTIC, without_choice


def notes(plan: Plan) -> list[str]:
    """Return what the data, their preparation and the methods have to say, each once."""
    of_methods = (note(plan.splits.train) for method in plan.methods for note in method.notes)
    # of a table in folds: the column decisions of the first fold
    every = (
        *plan.data.notes, *getattr(plan.splits.preparation, "notes", ()), *of_methods,
        *without_effect(plan.methods, plan.recipe), *_start(plan), *_selected(plan),
    )  # fmt: skip
    return list(dict.fromkeys(note for note in every if note is not None))


def _selected(plan: Plan) -> list[str]:
    """Return notes on the epochs that were chosen; [] where the last one counts."""
    if plan.select == LAST:
        return []
    why = {one.spec: without_choice(one, one.under(plan.recipe)) for one in plan.methods}
    kept = [f"{spec} keeps the last epoch ({reason})" for spec, reason in why.items() if reason is not None]
    return [OPTIMISTIC, *kept] if plan.select == BEST_TEST else kept


def _start(plan: Plan) -> list[str]:
    """Return a note on the encoder that networks start from; [] where they are new."""
    start = plan.recipe.pretrained
    return (
        [] if start is None else [f"networks start from {start.words} (weights {start.weights[:8]}), not from random"]
    )
