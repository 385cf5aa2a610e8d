"""Cross-conformal sets by class: every row calibrates, by the model of the fold that did not train on it."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Self, final

import torch
from torch import Tensor, nn

from longtail.facts import checks
from longtail.facts.set_promises import Promise, promises
from longtail.facts.set_ranks import exact_level, feasible
from longtail.posthoc.corrections import as_tensor
from longtail.posthoc.sets.scores import SCORE, SCORES, Score, checked_log_probs, checked_targets, checked_weight
from longtail.posthoc.sets.sorted_scores import SortedScores


@final
class CrossConformalSets(nn.Module):
    """Cross-conformal prediction by class (CV+): no row is set aside for calibration.

    K models, model f trained without fold f. Row i has the score s_i of its true class by the model of its own fold.
    Class c is in the set of x if and only if

        (#{i of class c: s_i >= s_f(i)(x, c)} + 1) / (n_c + 1) > a

    with f(i) the fold of row i, and s_f(x, c) the score of c by model f. What is proven is less than what is asked: at
    the level 1 - a a new row of class c has c in its set with probability at least 1 - 2a, up to a term that falls
    with folds and rows (CV+ has it for folds of equal size; here for the rows of a class, so stratify the folds).
    It is usually near 1 - a. With n_c < 1/a - 1 rows the class is in every set, and nothing is promised.

    Args:
        num_classes: C.
        folds: K >= 2.
        score: as in `ConformalSets`.

    Where all K models are the same, the sets are those of `ConformalSets`.

    Reference: Barber, Candes, Ramdas and Tibshirani 2021, "Predictive Inference with the Jackknife+", theorem 4;
    Romano, Sesia and Candes 2020 for classes; restricted to the rows of a class as in Vovk 2012.
    """

    def __init__(self, num_classes: int, folds: int, score: Score = "lac") -> None:
        super().__init__()
        checks.whole("num_classes", num_classes, "pass the number of classes", low=2)
        checks.whole("folds", folds, "pass the number of folds", low=2)
        SCORE.check("score", score)
        self.num_classes, self.folds, self.score = int(num_classes), int(folds), score
        self.calibration = SortedScores(self.folds * self.num_classes)

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the constructor, for a file."""
        return {"num_classes": self.num_classes, "folds": self.folds, "score": self.score}

    @property
    def fitted(self) -> bool:
        """Whether it has calibration rows."""
        return self.calibration.fitted

    @torch.no_grad()
    def fit(self, log_probs: Any, targets: Any, fold: Any, *, sample_weight: Any = None) -> Self:
        """Store the sorted scores of every row.

        Args:
            log_probs: (N, C), of each row by the model of its own fold, which has not seen it.
            targets: (N,) class indices.
            fold: (N,) the fold of each row, in [0, K).
            sample_weight: as in `ConformalSets.fit`.

        Raises:
            ValueError: rows that are no log-probabilities, other arguments of another number or out of range.
        """
        logs = checked_log_probs(log_probs, self.num_classes)
        y = checked_targets(targets, len(logs), self.num_classes).to(logs.device)
        f = checked_targets(fold, len(logs), self.folds, "fold").to(logs.device)
        weight = checked_weight(sample_weight, len(logs)).to(logs.device)
        own = SCORES[self.score](logs).gather(1, y[:, None])[:, 0]
        self.calibration.fill(own, weight, f * self.num_classes + y)
        return self

    @torch.no_grad()
    def sets(self, log_probs: Any, level: float) -> Any:
        """Return (M, C) bool, which classes are in the set of each row; a tensor for a tensor, else an array.

        Args:
            log_probs: (K, M, C), new rows by each of the K models, in the order of the folds.
            level: 1 - a, for a promise of 1 - 2a.

        Raises:
            ValueError: not fitted, rows that are no log-probabilities, a level outside (0, 1).
        """
        exact, stored = exact_level(level), self._stored()
        given = as_tensor(log_probs)
        if given.ndim != 3 or given.shape[0] != self.folds:
            raise ValueError(
                f"log_probs must have shape ({self.folds}, M, {self.num_classes}), got {tuple(given.shape)}; stack "
                "those of the models of all folds"
            )
        logs = [checked_log_probs(one, self.num_classes) for one in given]
        score, groups = SCORES[self.score], stored.groups()
        covering = torch.zeros_like(logs[0])  # weight of the rows that fit their class no better than x does
        for f, rows in enumerate(map(score, logs)):
            for c in range(self.num_classes):
                scores, weights = groups[f * self.num_classes + c]
                below = torch.searchsorted(scores, rows[:, c].contiguous())
                covering[:, c] += _from(weights)[below]
        needed = [_needed(n, exact, stored.whole) for n in self._totals().tolist()]
        held = covering > torch.tensor(needed, dtype=covering.dtype, device=covering.device)
        return held if isinstance(log_probs, Tensor) else held.numpy()

    def promises(self, level: float) -> tuple[Promise, ...]:
        """Return per class its rows, how many it needs, and whether it has them; what is proven is 1 - 2a."""
        return promises(self._totals().tolist(), exact_level(level))

    def _totals(self) -> Tensor:
        return self._stored().totals().view(self.folds, self.num_classes).sum(0)

    def _stored(self) -> SortedScores:
        if not self.fitted:
            raise ValueError("sets must be fitted before use; call fit(log_probs, targets, fold) on out-of-fold rows")
        return self.calibration

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return f"classes={self.num_classes}, folds={self.folds}, score={self.score}"


def _from(weights: Tensor) -> Tensor:
    """Return the sum of the weights from each place on, 0 after the last: (n + 1,)."""
    return torch.cat([weights.flip(0).cumsum(0).flip(0), weights.new_zeros(1)])


def _needed(total: float, level: Fraction, whole: bool) -> float:
    """What the covering weight must exceed: a (n + 1) - 1, for whole weights half way to the next whole number."""
    if total < feasible(level):
        return -1.0  # every class covers 0
    exact = (1 - level) * (Fraction(total) + 1) - 1
    return math.floor(exact) + 0.5 if whole else float(exact)
