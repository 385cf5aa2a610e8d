"""Choose a threshold or offsets on rows, and cross-fit the choice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from longtail.posthoc.decisions import scores
from longtail.posthoc.decisions.objectives import Objective
from longtail.posthoc.decisions.offsets import family, fit_offsets
from longtail.posthoc.decisions.rows import Floats, Ints, WeightedRows, folds
from longtail.posthoc.decisions.tallies import measured, one_class, value
from longtail.posthoc.decisions.thresholds import Cuts, fit_cut

FOLDS = 5
NO_OFFSET = 0.0


@dataclass(frozen=True)
class Goal:
    """An objective and what it is about: the positive class (of two classes, the second where none is meant), costs."""

    objective: Objective
    positive: int | None
    cost: Floats | None

    @classmethod
    def of(cls, objective: Objective, classes: int, positive: int | None, cost: Floats | None) -> Goal:
        """Return it; of several classes an objective of all of them has no positive one."""
        if objective.of_all:
            positive = None if classes > 2 else (1 if positive is None else positive)
        return cls(objective, positive, cost)


@dataclass(frozen=True)
class Chosen:
    """A cut on the log-odds of the positive class, or one offset per class and the tau of the family."""

    cut: float | None = None
    offsets: Floats | None = None
    tau: float | None = None

    def decide(self, log_probs: Floats, positive: int | None) -> Ints:
        """Return the decided classes (N,)."""
        p = torch.from_numpy(log_probs)
        if self.cut is not None:
            assert positive is not None
            found = scores.cut(p, positive, torch.tensor(self.cut, dtype=torch.float64))
        else:
            found = p + torch.from_numpy(self.offsets)
        return found.argmax(1).numpy()


def choose(rows: WeightedRows, goal: Goal, *, free: bool = True) -> Chosen:
    """Return what is best on these rows; where a class that it takes has none, what the largest probability decides.

    Args:
        rows: to choose on.
        goal: what for.
        free: one offset per class; otherwise those of the family of one parameter.
    """
    support = rows.support()
    if goal.positive is not None:
        of_it = support[goal.positive]
        if of_it == 0 or (goal.objective.of_all and of_it == support.sum()):
            return Chosen(cut=NO_OFFSET)
        return Chosen(cut=fit_cut(rows, goal.objective, goal.positive, goal.cost)[0])
    start, tau = family(rows, goal.objective, goal.cost)
    return Chosen(offsets=fit_offsets(rows, goal.objective, goal.cost, start) if free else start, tau=tau)


@dataclass(frozen=True)
class CrossFitted:
    """Decisions (N,) of every row by what was chosen on the other folds, and these choices."""

    decided: Ints
    choices: tuple[Chosen, ...]


def cross_fitted(rows: WeightedRows, goal: Goal, seed: int, *, free: bool = True) -> CrossFitted | None:
    """Choose on all folds but one, decide that one; None where there are fewer than two distinct rows."""
    number = min(FOLDS, len(rows.targets))
    if number < 2:
        return None
    fold, decided, choices = folds(rows, number, seed), np.zeros(len(rows.targets), dtype=np.int64), []
    for f in range(number):
        held = fold == f
        if held.all() or not held.any():
            continue
        chosen = choose(rows.of(~held), goal, free=free)
        decided[held] = chosen.decide(rows.log_probs[held], goal.positive)
        choices.append(chosen)
    return CrossFitted(decided, tuple(choices)) if choices else None


def worth(rows: WeightedRows, goal: Goal, fitted: CrossFitted) -> float:
    """Return the value of cross-fitted decisions."""
    return value(
        goal.objective,
        rows.targets,
        fitted.decided,
        rows.weight,
        rows.classes,
        positive=goal.positive,
        cost=goal.cost,
        search=True,
    )


def unmet(rows: WeightedRows, goal: Goal, name: str, where: str = "validation") -> str | None:
    """Return why no threshold meets an objective of one class on these rows, and what is the best; None where one does.

    Args:
        rows: to choose on.
        goal: of one class.
        name: the positive class, quoted.
        where: which rows these are, for the message.
    """
    assert goal.positive is not None
    objective, k = goal.objective, goal.positive
    if rows.support()[k] == 0:
        return (
            f"objective {objective} needs {where} rows of class {name}, got none; the largest probability is the best "
            "that can be had: leave out the objective, or hold out more rows"
        )
    if objective.name != "precision":
        return None
    hits, calls = Cuts.of(rows, k).tallies(rows.weight[None])
    precision = measured("precision", hits, hits[:, -1:], calls, calls[:, -1:])[0]
    if (one_class(objective, hits, hits[:, -1:], calls, calls[:, -1:]) >= 1).any():
        return None
    at = int(np.nanargmax(precision))
    recall = hits[0, at] / hits[0, -1]
    threshold = scores.probability(float(Cuts.of(rows, k).cuts[at]))
    return (
        f"objective {objective} cannot be met on the {where} rows: the precision of class {name} is "
        f"{precision[at]:.3g} at best, with recall {recall:.3g} from p >= {threshold:.3g} on; ask for at most that"
    )


def plain(rows: WeightedRows) -> Ints:
    """Return the classes of the largest probability (N,)."""
    return np.asarray(rows.log_probs.argmax(1))
