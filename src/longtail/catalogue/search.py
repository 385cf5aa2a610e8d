"""A search that is part of a method: which candidates are trained and compared on validation rows, in which order."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from longtail.data import Part
from longtail.engine import Recipe


@dataclass(frozen=True)
class Candidate:
    """What is tried: the canonical spec of a method, and what it changes in the recipe.

    `setting`: of the space that it is of, knob -> value as written.
    """

    spec: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    setting: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def text(self) -> str:
        """Spec and changes in one line."""
        arguments = self.changes.get("model_args", {})
        changes = {**{k: v for k, v in self.changes.items() if k != "model_args"}, **arguments}
        changed = ", ".join(f"{name}={value!r}" for name, value in sorted(changes.items()))
        return f"{self.spec} with {changed}" if changed else self.spec

    def under(self, recipe: Recipe) -> Recipe:
        """Return the recipe with its changes; arguments of the network are added to those of the recipe."""
        changes = dict(self.changes)
        if "model_args" in changes:
            changes["model_args"] = {**recipe.model_args, **changes["model_args"]}
        if "drop" in changes or "drops" in changes:
            changes.setdefault("decay", "steps")  # a cosine has no drops
        return replace(recipe, **changes)


Rounds = Generator[Sequence[Candidate], Sequence[float], Candidate]
"""Yields the candidates of a round, receives the metric of each on validation rows (NaN: not known), and returns the
chosen one."""


@dataclass(frozen=True)
class Search:
    """How a method chooses what it trains.

    Args:
        rounds: the common recipe and the training rows -> the rounds of the search.
        most: the same -> how many trainings they take at most.
        metric: of `metrics.registry`, by which candidates are chosen on validation rows; those of one class mean the
            rarest of the training rows.
    """

    rounds: Callable[[Recipe, Part], Rounds]
    most: Callable[[Recipe, Part], int]
    metric: str = "balanced_accuracy"


def most_trainings(search: Search | None, recipe: Recipe, rows: Part) -> int:
    """Return how many trainings a method makes at most in place of one: 1, or those of its search."""
    return 1 if search is None else search.most(recipe, rows)
