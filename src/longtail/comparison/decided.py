"""One rule by which the rows of a comparison decide, applied to the scores of finished runs: nothing is trained again.

A cost needs no fit. An objective is fitted on the validation rows of each run; of cross-validated runs, the rows of one
fold are decided by a rule that is fitted on the rows of the other folds, so that none decides on what it was fitted on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.metrics.rates import Floats
from longtail.posthoc import Decision
from longtail.runs.scored import ScoredRun

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class DecidedBy:
    """A rule for all rows: costs (C, C), or an objective, of the class `positive` where it is of one."""

    classes: tuple[str, ...]
    cost: Floats | None = field(default=None, compare=False)
    objective: str | None = None
    positive: int | None = None

    @cached_property
    def rule(self) -> Decision:
        """A decision that is not fitted.

        Raises:
            ValueError: an objective that is none, or one that needs a class or costs.
        """
        options: dict[str, Any] = {"cost": self.cost, "objective": self.objective, "positive": self.positive}
        return Decision(self.classes, **options)

    @property
    def fitted(self) -> bool:
        """Whether it is chosen on validation rows."""
        return self.rule.chosen_by_fit

    def words(self, folds: bool) -> str:
        """Say what is decided for, and on which rows that was chosen."""
        if not self.fitted:
            return self.rule.words
        where = "the rows of the other folds" if folds else "its validation rows"
        return f"{self.rule.objective}, chosen for each run on {where}"

    def decide(self, run: ScoredRun, log_probs: Floats) -> Labels:
        """Return the classes (N,) of a run's test rows.

        Args:
            run: whose validation rows, or other folds, the rule is fitted on.
            log_probs: (N, C) of its test rows, under the prior that decisions are for.

        Raises:
            ValueError: a run without validation rows and folds, where the rule is fitted; an objective that these rows
                cannot meet.
        """
        if not self.fitted:
            return np.asarray(self.rule(log_probs).argmax(1), dtype=np.int64)
        try:
            return self._fitted(run, log_probs)
        except ValueError as error:
            raise ValueError(f"{run.folder}: {error}") from None

    def _fitted(self, run: ScoredRun, log_probs: Floats) -> Labels:
        test, val = run.test, run.val
        if test.fold is None:
            if val is None:
                raise ValueError(f"objective {self.objective} needs validation rows, got none; add --val 0.2 (val=0.2)")
            made = self._rule().fit(val.log_probs, val.targets, sample_weight=val.weight)
            return np.asarray(made(log_probs).argmax(1), dtype=np.int64)
        decided = np.empty(len(log_probs), dtype=np.int64)
        for fold in np.unique(test.fold):
            here = test.fold == fold
            weight = None if test.weight is None else test.weight[~here]
            made = self._rule().fit(test.log_probs[~here], test.targets[~here], sample_weight=weight)
            decided[here] = made(log_probs[here]).argmax(1)
        return decided

    def _rule(self) -> Decision:
        return Decision(self.classes, cost=self.cost, objective=self.objective, positive=self.positive)
