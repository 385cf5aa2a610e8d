"""Which epoch of the last stage is kept: the last one, or the one that scored best on some rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from longtail.engine import state_files
from longtail.facts.learner import Learner

LAST, VAL, BEST_TEST = "last", "val", "best-test"
SELECT = (LAST, VAL, BEST_TEST)
"""The last epoch; the best on validation rows; the best on the test rows, as many papers did."""


class Selection:
    """Keeps the learner's state of the best epoch; of equal ones the first. Without a score, the last is kept.

    Args:
        kind: one of `SELECT`; but for "last" part of the hash of the stage.
        score: of a learner in evaluation mode, the larger the better; NaN is worse than any number.
    """

    def __init__(self, kind: str = LAST, score: Callable[[Learner], float] | None = None) -> None:
        self.kind = kind
        self._score = score
        self.best: dict[str, Any] | None = None

    @property
    def identity(self) -> list[str]:
        """What it adds to the hash of the last stage."""
        return [] if self._score is None else [self.kind]

    def state(self) -> dict[str, Any]:
        """Return its entry of a checkpoint."""
        return {} if self._score is None else {"best": state_files.cloned(self.best)}

    def consider(self, learner: Learner, epoch: int) -> dict[str, Any]:
        """Score the learner after an epoch, and keep its state where it is the best so far; return the score."""
        if self._score is None:
            return {}
        learner.train(False)
        value = self._score(learner)
        number = -math.inf if math.isnan(value) else value
        if self.best is None or number > self.best["number"]:
            self.best = {"number": number, "epoch": epoch, "learner": state_files.cloned(learner.state_dict())}
        return {"selection": None if math.isnan(value) else value}

    def load_best(self, learner: Learner) -> None:
        """Give the learner the state of the best epoch, where one was chosen."""
        if self.best is not None:
            learner.load_state_dict(state_files.cloned(self.best["learner"]))
