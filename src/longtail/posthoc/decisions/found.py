"""What a fit finds: the choice, its intervals, and what the decision is worth on rows it was not chosen on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from longtail.facts.messages import quoted
from longtail.posthoc.decisions.choose import Chosen, CrossFitted, Goal, choose, cross_fitted, plain, unmet, worth
from longtail.posthoc.decisions.estimate import LEVEL, finite, judged
from longtail.posthoc.decisions.objectives import Objective
from longtail.posthoc.decisions.rows import Floats, Ints, WeightedRows
from longtail.posthoc.decisions.scores import probability
from longtail.posthoc.decisions.thresholds import cut_interval, fit_cut

STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}
"""97.5 % quantiles of Student's t by degrees of freedom."""
Decide = Callable[[Floats], Ints]


def fitted_choice(rows: WeightedRows, goal: Goal, classes: Sequence[str], seed: int) -> tuple[Chosen, dict[str, Any]]:
    """Choose on all rows, and report: the choice and the entry `found` of `Decision`.

    Offsets of several classes are kept where they are worth at least as much as the family of one parameter, both
    cross-fitted; otherwise the family decides.

    Raises:
        ValueError: no threshold meets the objective on these rows.
    """
    objective, k, chance = goal.objective, goal.positive, np.random.default_rng([seed, 23])
    if k is not None and not objective.of_all and (why := unmet(rows, goal, quoted(classes[k]))) is not None:
        raise ValueError(why)
    free, crossed = True, cross_fitted(rows, goal, seed)
    if k is None and crossed is not None:
        simple = cross_fitted(rows, goal, seed, free=False)
        assert simple is not None
        free = worth(rows, goal, crossed) >= worth(rows, goal, simple)
        crossed = crossed if free else simple
    chosen = choose(rows, goal, free=free)
    found = entry(rows, objective, classes, goal.positive)
    found["folds"] = None if crossed is None else len(crossed.choices)
    if crossed is not None:
        found |= judged(rows, crossed.decided, plain(rows), objective, k, goal.cost, chance)
    if k is not None:
        assert chosen.cut is not None
        low, high = cut_interval(rows, objective, k, goal.cost, LEVEL, chance)
        values = (probability(cut) for cut in (chosen.cut, low, high))
        found["threshold"] = dict(zip(("value", "low", "high"), values, strict=True)) | {"class": classes[k]}
    else:
        found["chosen"], found["tau"] = "offsets" if free else "tau", chosen.tau
        found["offsets"] = _offsets(chosen, crossed, classes)
    return chosen, found


def given_rule(rows: WeightedRows, goal: Goal, classes: Sequence[str], seed: int, decide: Decide) -> dict[str, Any]:
    """Return the entry `found` of a rule with nothing to choose: what it is worth on the rows.

    A number of alarms is the threshold of that many rows, a weight k counted as k rows.
    """
    objective, k, chance = goal.objective, goal.positive, np.random.default_rng([seed, 23])
    found = entry(rows, objective, classes, k)
    if objective.top:
        assert k is not None
        if (why := unmet(rows, goal, quoted(classes[k]))) is not None:
            raise ValueError(why)
        decided = Chosen(cut=fit_cut(rows, objective, k)[0]).decide(rows.log_probs, k)
    else:
        decided = decide(rows.log_probs)
    return found | judged(rows, decided, plain(rows), objective, k, goal.cost, chance)


def entry(rows: WeightedRows, objective: Objective, classes: Sequence[str], positive: int | None) -> dict[str, Any]:
    """Return what every report has: what was asked for, of how many rows, and the classes that have none."""
    return {
        "objective": str(objective),
        "maximises": objective.maximises,
        "positive": None if positive is None or objective.of_all else classes[positive],
        "rows": float(rows.weight.sum()),
        "level": LEVEL,
        "neutral": [name for name, n in zip(classes, rows.support(), strict=True) if n == 0],
    }


def _offsets(chosen: Chosen, crossed: CrossFitted | None, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return offsets about their mean, with intervals from the folds: a jackknife that leaves out a fold at a time.

    b +- t sqrt((K - 1) / K sum_f (b_f - mean b)^2), t with K - 1 degrees of freedom.
    """
    assert chosen.offsets is not None
    value = chosen.offsets - chosen.offsets.mean()
    spread = np.full(len(value), np.nan)
    if crossed is not None and len(crossed.choices) > 1:
        parts = np.stack([one.offsets - one.offsets.mean() for one in crossed.choices if one.offsets is not None])
        k = len(parts)
        spread = STUDENT[k - 1] * np.sqrt((k - 1) / k * ((parts - parts.mean(0)) ** 2).sum(0))
    return [
        {"class": name, "value": float(v), "low": finite(v - s), "high": finite(v + s)}
        for name, v, s in zip(classes, value, spread, strict=True)
    ]
