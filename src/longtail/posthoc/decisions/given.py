"""Check what a decision is given: one of costs, an objective and thresholds, and what goes with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from longtail.facts.messages import quoted
from longtail.posthoc.decisions.costs import class_index
from longtail.posthoc.decisions.objectives import Objective, objective

Thresholds = Mapping[str | int, float] | Sequence[float]
WAYS = 'cost, objective (as in "macro_f1") or thresholds (as in {"name": 0.2})'


def check_together(
    cost: Any, rule: str, goal: str | Objective | None, thresholds: Any, classes: Sequence[str], positive: int | None
) -> Objective | None:
    """Return the objective, read, or None.

    Raises:
        ValueError: none or several of cost, objective and thresholds; a positive class that is missing.
    """
    given = [
        name for name, value in (("cost", cost), ("objective", goal), ("thresholds", thresholds)) if value is not None
    ]
    found = None if goal is None else objective(goal)
    if found is not None and found.name == "cost" and cost is None:
        raise ValueError('objective "cost" needs the costs, got none; pass cost, as in missed=10,false=1')
    of_cost = found is not None and found.name == "cost" and given == ["cost", "objective"]
    if len(given) != 1 and not of_cost:
        got = " and ".join(given) or "none"
        raise ValueError(f"a decision needs one of {WAYS}, got {got}; pass one of them")
    if rule == "row-sums" and (cost is None or found is not None):
        raise ValueError(
            'rule "row-sums" is about cost alone, got no cost or an objective too; pass cost, or leave it out'
        )
    if found is not None and not found.of_all and positive is None:
        raise ValueError(
            f"objective {found} is about one class and needs its name; pass positive, one of "
            f"{', '.join(quoted(name) for name in classes[:8])}"
        )
    return found


def one_or_all(thresholds: Thresholds, classes: Sequence[str]) -> dict[int, float] | tuple[float, ...]:
    """Return {index: threshold} of one class, or the thresholds (C,) of all.

    Raises:
        ValueError, TypeError: a number outside [0, 1], an unknown class, some of the classes but neither one nor all.
    """
    if isinstance(thresholds, Mapping):
        named = {
            class_index(name, classes, "a name in thresholds"): _in_unit(t, name) for name, t in thresholds.items()
        }
        if len(named) == 1:
            return named
        if len(named) == len(classes):
            return tuple(named[j] for j in range(len(classes)))
        raise ValueError(
            f"thresholds must be of one class or of all {len(classes)}, got {len(named)}; the largest p / threshold "
            "decides, which needs all of them"
        )
    if (
        isinstance(thresholds, str)
        or not isinstance(thresholds, Sequence | np.ndarray)
        or len(thresholds) != len(classes)
    ):
        raise ValueError(
            f"thresholds must be {{class: number}} or {len(classes)} numbers, one per class, got {quoted(thresholds)}; "
            f"write {{{quoted(classes[-1])}: 0.2}}"
        )
    return tuple(_in_unit(t, name) for t, name in zip(thresholds, classes, strict=True))


def _in_unit(value: Any, name: str | int) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= 1:
        raise ValueError(
            f"thresholds must be in [0, 1], got {quoted(value)} for class {quoted(name)}; they are probabilities"
        )
    return float(value)
