"""The search of a method that chooses its training on validation rows: its candidates' runs, and the choice."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from longtail.catalogue.search import Candidate, Search
from longtail.catalogue.spec import folder_name
from longtail.data import Splits
from longtail.engine import Recipe
from longtail.engine.due_step import Events
from longtail.engine.epoch_monitor import FinitenessError
from longtail.metrics.registry import metric
from longtail.metrics.rows import Rows
from longtail.runs.run import Run
from longtail.runs.scored import of_run

log = logging.getLogger(__name__)

FOLDER = "search"
CANDIDATE = "candidate"
"""With it begins the stage in the records of a candidate, as in "candidate 3: train"."""


class Training(Protocol):
    """What a search uses of `runs.fit.Fit`."""

    events: Events

    @property
    def run(self) -> Run:
        """The finished run."""

    def close(self) -> None:
        """Stop, to be resumed."""


@dataclass
class Choice:
    """What a search has done so far: by which `metric`, `rows` in the order of training, the candidate chosen at its
    end."""

    metric: str
    chosen: Candidate | None = None
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def candidate(self) -> Candidate:
        """The chosen one."""
        assert self.chosen is not None, "the search has not ended"
        return self.chosen

    def to_json(self) -> dict[str, Any]:
        """Return the entry `search` of run.json."""
        return {
            "metric": self.metric, "chosen": [self.candidate.text], "trainings": len(self.rows),
            "seconds": self.seconds, "rows": [{"candidate": text, **row} for text, row in self.rows.items()],
        }  # fmt: skip

    @property
    def seconds(self) -> float:
        """Of all candidates."""
        return float(sum(row["seconds"] for row in self.rows.values()))


def choose(
    search: Search,
    splits: Splits,
    recipe: Recipe,
    folder: Path,
    fit: Callable[[Candidate, Path], Training],
) -> Generator[Any, None, Choice]:
    """Train the candidates round by round, yielding what their trainings yield; return the choice.

    Args:
        search: of the method.
        splits: the data without their test part.
        recipe: the common one.
        folder: of the method's run; every candidate has a run of its own below it, and is not trained again.
        fit: makes a candidate's training on `splits`.
    """
    choice, rounds = Choice(search.metric), search.rounds(recipe, splits.train)
    sign = 1.0 if metric(search.metric).higher_is_better else -1.0
    asked = next(rounds)
    while True:
        for one in asked:
            if one.text not in choice.rows:
                place = folder / FOLDER / folder_name(one.spec.partition("(")[0], one.text)
                choice.rows[one.text] = yield from _tried(one, fit(one, place), len(choice.rows) + 1, choice.metric)
        try:
            asked = rounds.send([sign * _number(choice.rows[one.text][choice.metric]) for one in asked])
        except StopIteration as end:
            choice.chosen = end.value
            return choice


def _tried(one: Candidate, training: Training, number: int, by: str) -> Generator[Any, None, dict[str, Any]]:
    """Train a candidate; return its metric, None where its loss stopped being finite, and its seconds."""
    try:
        for event in training.events:
            # its own journal has the record as it is
            yield {**event, "stage": f"{CANDIDATE} {number}: {event['stage']}"} if isinstance(event, dict) else event
    except FinitenessError as error:
        log.warning("candidate %s is not chosen: %s", one.text, error)
        return {by: None, "seconds": 0.0}
    finally:
        training.close()
    return {by: _value(training.run, by), "seconds": training.run.result["seconds"]}


def _value(run: Run, by: str) -> float | None:
    """Return a metric of a finished candidate; None where it is undefined."""
    if by in run.scores:
        return run.scores[by]  # type: ignore[no-any-return]
    found = of_run(run)
    test, rarest = found.test, int(found.class_counts.argmin())
    value = metric(by).value(Rows(np.exp(test.log_probs), test.decided, test.targets, test.weight, rarest))
    return None if math.isnan(value) else value


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def searched_in(folds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the entry of a run whose folds searched each for itself; {} where none did."""
    if not folds:
        return {}
    chosen = [text for fold in folds for text in fold["chosen"]]
    total = {name: sum(fold[name] for fold in folds) for name in ("trainings", "seconds")}
    return {"search": {"metric": folds[0]["metric"], "chosen": chosen, **total}}
