"""Methods whose threshold is chosen on validation rows are tuned for the metric of their comparison."""

from __future__ import annotations

from collections.abc import Iterable

from longtail.catalogue import spec as specs
from longtail.catalogue.method import Method
from longtail.catalogue.resolve import split_specs
from longtail.posthoc.decisions.objectives import objective, objective_of


def with_own_objective(asked: str | Iterable[str | Method]) -> set[str]:
    """Return the keys of those among the specs asked for that give an objective, or costs, themselves."""
    items = split_specs(asked) if isinstance(asked, str) else asked
    named = (specs.parse(item) for item in items if isinstance(item, str) and "(" in item)
    return {key for key, knobs in named if {"objective", "cost"} & knobs.keys()}


def aimed(
    methods: Iterable[Method],
    metric: str,
    *,
    own: Iterable[str] = (),
    cost: str | None = None,
    positive: str | int | None = None,
) -> tuple[list[Method], str | None]:
    """Return the methods, each once, those with a chosen threshold tuned for the metric; and a note where none can be.

    Args:
        methods: resolved.
        metric: of the comparison.
        own: keys of methods that were given an objective, which they keep (`with_own_objective`).
        cost: of the metric cost, in words or a file; without it nothing is tuned for cost.
        positive: the class that metrics of one class are about; None is the rarest.

    A metric of rankings or of probabilities has no threshold that is best for it: the methods keep their own objective,
    balanced accuracy, and the note says so.
    """
    methods, goal = list(methods), objective_of(metric)
    if goal == "cost" and cost is None:
        goal = None
    changed: dict[str, Method] = {}
    missed: list[str] = []
    for one in methods:
        made = one
        if one.tuned_for is not None and one.knobs is not None and one.key not in own:
            if goal is None:
                missed.append(one.spec)
            elif one.knobs.values[one.tuned_for] != goal:
                made = one.knobs.varied({one.tuned_for: goal, **_about(goal, cost, positive)})
        changed.setdefault(made.spec, made)
    note = f"{', '.join(missed)}: no threshold is best for {metric}; chosen for balanced accuracy" if missed else None
    return list(changed.values()), note


def decides_by_cost(one: Method) -> bool:
    """Whether a method decides by costs that it was given, as knob `cost`."""
    return one.knobs is not None and one.knobs.values.get("cost") is not None


def _about(goal: str, cost: str | None, positive: str | int | None) -> dict[str, str | int]:
    about: dict[str, str | int] = {"cost": cost} if goal == "cost" and cost is not None else {}
    if positive is not None and (goal == "cost" or not objective(goal).of_all):
        about["positive"] = positive
    return about
