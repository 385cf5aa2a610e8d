"""A decision in words, for a line in a terminal or a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from longtail.facts.messages import cut as shortened
from longtail.facts.messages import quoted
from longtail.posthoc.decisions.objectives import Objective
from longtail.posthoc.decisions.rows import Floats

MOST = 4
"""Classes that are named one by one."""


def of_cost(cost: Floats, rule: str, classes: Sequence[str]) -> str:
    """Return the words of a rule on costs; of two classes with the threshold that it is."""
    if rule == "row-sums":
        return "largest p times what missing the class costs (row sums of the costs)"
    if len(classes) == 2:
        # p is called where p (missed - right) >= (1 - p) (false - right)
        gain, loss = cost[1, 0] - cost[1, 1], cost[0, 1] - cost[0, 0]
        if gain + loss > 0 and gain >= 0 and loss >= 0:
            return f"least expected cost: {quoted(classes[1])} where p >= {loss / (gain + loss):.4g}"
    return "least expected cost"


def of_threshold(name: str, threshold: float, goal: Objective | None = None) -> str:
    """Return the words of one threshold."""
    why = "" if goal is None else f", chosen for {goal}"
    return f"{quoted(name)} where p >= {threshold:.4g}{why}"


def of_ratios(thresholds: Sequence[float], classes: Sequence[str]) -> str:
    """Return the words of a threshold for every class."""
    return f"largest p / threshold ({_listed(classes, thresholds)})"


def of_top(name: str, goal: Objective) -> str:
    """Return the words of a number of alarms."""
    return f"{quoted(name)} for the {int(goal.bound)} rows with the highest p, of those that are decided together"


def of_offsets(offsets: Floats, classes: Sequence[str], goal: Objective, support: Floats) -> str:
    """Return the words of offsets, as factors on p whose geometric mean is 1."""
    factors = np.exp(offsets - offsets.mean())
    missing = [name for name, n in zip(classes, support, strict=True) if n == 0]
    return f"largest p x factor ({_listed(classes, factors.tolist())}), chosen for {goal}{neutral(missing)}"


def neutral(missing: Sequence[str]) -> str:
    """Return a clause on the classes without validation rows, if there are any."""
    if not missing:
        return ""
    more = f" and {len(missing) - MOST} more" if len(missing) > MOST else ""
    return f"; neutral for lack of validation rows: {', '.join(quoted(name) for name in missing[:MOST])}{more}"


def of_found(found: Mapping[str, Any]) -> str:
    """Return what a fit found, in one sentence: what it is worth on other rows and what that gains, with intervals."""
    parts = []
    if (threshold := found.get("threshold")) is not None:
        parts.append(f"threshold {_interval(threshold)}")
    if "value" in found:
        crossed = f"cross-fitted in {found['folds']} folds" if found.get("folds") else "on the validation rows"
        condition = found.get("condition")
        if condition is not None:
            parts.append(f"{condition['name']} {_interval(condition)}")
        parts.append(f"{found['maximises']} {_interval(found['value'])}, {crossed}")
        parts.append(f"gain {_signed(found['gain'])} over the largest probability")  # above 0 where a cost falls, too
    parts += [text.removeprefix("; ")] if (text := neutral(found["neutral"])) else []
    return "; ".join(parts)


def _listed(classes: Sequence[str], values: Sequence[float]) -> str:
    shown = ", ".join(f"{shortened(quoted(n), 30)}: {v:.3g}" for n, v in list(zip(classes, values, strict=True))[:MOST])
    return f"{shown} and {len(classes) - MOST} more" if len(classes) > MOST else shown


def _interval(entry: Mapping[str, Any]) -> str:
    value, low, high = (_number(entry[name]) for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _signed(entry: Mapping[str, Any]) -> str:
    value, low, high = (_number(entry[name], "+") for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _number(value: float | None, sign: str = "") -> str:
    return "undefined" if value is None else format(value, f"{sign}.3g")
