"""Split conformal sets by class: one threshold per class from rows that the model has not been trained on."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Self, final

import torch
from torch import Tensor, nn

from longtail.facts import checks
from longtail.facts.set_promises import Promise, promises
from longtail.facts.set_ranks import exact_level, feasible, reached
from longtail.posthoc.sets.scores import (
    SCORE,
    SCORES,
    Score,
    checked_log_probs,
    checked_targets,
    checked_weight,
)
from longtail.posthoc.sets.sorted_scores import SortedScores

FIT_FIRST = "sets must be fitted before use; call fit(log_probs, targets) on rows that were not trained on"


@final
class ConformalSets(nn.Module):
    """Label-conditional split conformal prediction: sets that hold the true class, for every class alike.

    Class c with n_c calibration rows, whose scores for c are s_1 <= ... <= s_{n_c}, has the threshold

        q_c = s_k, k = ceil((n_c + 1)(1 - a)),   and is in the set of x if and only if s(x, c) <= q_c

    at the level 1 - a. A new row of class c has c in its set with probability at least 1 - a, for any model and any
    n_c with k <= n_c, if it is exchangeable with the calibration rows of c: drawn alike, and neither trained on nor
    chosen by. The probability is over new rows and calibration rows together; given the calibration rows it varies as
    Beta(k, n_c + 1 - k). Class priors may change: each class is on its own. With k > n_c (or no row at all) the class
    is in every set, and nothing is promised for it: `promises` says so.

    Sets may be empty or hold every class, and need not hold the class that a decision rule predicts.

    Args:
        num_classes: C.
        score: "lac", 1 - p_c, or "aps", the probability of c and of all more probable classes. "lac" is the default:
            with true probabilities a threshold on p_c for each class gives the smallest sets (Sadinle et al.), while
            "aps" also counts how probable other classes are. "aps" is not randomised, so that one row has one set: the
            least probable class has the same score in every row, and such ties raise coverage and sets.

    The sorted scores are buffers, so any level can be asked of one fit.

    Reference: Vovk 2012, "Conditional Validity of Inductive Conformal Predictors"; Sadinle, Lei and Wasserman 2019.
    """

    def __init__(self, num_classes: int, score: Score = "lac") -> None:
        super().__init__()
        checks.whole("num_classes", num_classes, "pass the number of classes", low=2)
        SCORE.check("score", score)
        self.num_classes, self.score = int(num_classes), score
        self.calibration = SortedScores(self.num_classes)

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the constructor, for a file."""
        return {"num_classes": self.num_classes, "score": self.score}

    @property
    def fitted(self) -> bool:
        """Whether it has calibration rows."""
        return self.calibration.fitted

    @torch.no_grad()
    def fit(self, log_probs: Any, targets: Any, *, sample_weight: Any = None) -> Self:
        """Store the sorted scores of calibration rows.

        Args:
            log_probs: (N, C), log-probabilities of rows that were not trained on.
            targets: (N,) class indices.
            sample_weight: (N,) >= 0; a whole weight k counts as k copies of the row. Weights with a fraction are
                counts on average: n_c is their sum W, and the threshold is the smallest score up to which they sum
                to (W + 1)(1 - a). Weights that are no counts (corrections of a sample) carry no promise.

        Raises:
            ValueError: rows that are no log-probabilities, targets or weights of another number or out of range.
        """
        logs = checked_log_probs(log_probs, self.num_classes)
        y = checked_targets(targets, len(logs), self.num_classes).to(logs.device)
        weight = checked_weight(sample_weight, len(logs)).to(logs.device)
        own = SCORES[self.score](logs).gather(1, y[:, None])[:, 0]
        self.calibration.fill(own, weight, y)
        return self

    def thresholds(self, level: float) -> Tensor:
        """Return q (C,) float64 at a level, in the unit of the scores (of "lac" -log p); +inf without a promise."""
        exact, stored = exact_level(level), self._stored()
        whole = stored.whole
        found = [_threshold(scores, weights.cumsum(0), exact, whole) for scores, weights in stored.groups()]
        return torch.tensor(found, dtype=torch.float64, device=stored.scores.device)

    def sets(self, log_probs: Any, level: float) -> Any:
        """Return (N, C) bool, which classes are in the set of each row; a tensor for a tensor, else an array.

        Raises:
            ValueError: not fitted, rows that are no log-probabilities, a level outside (0, 1).
        """
        thresholds = self.thresholds(level)
        logs = checked_log_probs(log_probs, self.num_classes)
        held = SCORES[self.score](logs) <= thresholds.to(logs.device)
        return held if isinstance(log_probs, Tensor) else held.numpy()

    def promises(self, level: float) -> tuple[Promise, ...]:
        """Return per class how many calibration rows it has, how many it needs, and whether the level is promised."""
        return promises(self._stored().totals().tolist(), exact_level(level))

    def _stored(self) -> SortedScores:
        if not self.fitted:
            raise ValueError(FIT_FIRST)
        return self.calibration

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return f"classes={self.num_classes}, score={self.score}"


def _threshold(scores: Tensor, upto: Tensor, level: Fraction, whole: bool) -> float:
    """The smallest score up to which the weights reach what the level asks; +inf where there are too few rows."""
    total = float(upto[-1]) if len(upto) else 0.0
    if total < feasible(level):
        return math.inf
    wanted = torch.tensor(reached(total, level, whole), dtype=upto.dtype, device=upto.device)
    at = int(torch.searchsorted(upto, wanted))
    return float(scores[min(at, len(scores) - 1)])  # a sum of fractions may round to just below its total
