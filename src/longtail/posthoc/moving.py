"""Threshold moving as a rule on scores: costs by row sums, saved with their model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor

from longtail.facts.counts import log_priors
from longtail.facts.fixed_dtype import FixedDtype
from longtail.posthoc.corrections import T, apply_to, checked_scores, move_threshold
from longtail.posthoc.decisions.costs import class_index, read_cost


@final
class ThresholdMoving(FixedDtype):
    """Threshold moving as a rule on scores: `move_threshold` of their softmax, its costs saved in the state_dict.

    argmax_k softmax(z)_k sum_j Cost[k, j]

    Args:
        counts: class counts (C,); by them the positive class is the one with the fewest.
        cost: see `read_cost`; None where a state_dict brings the costs. The diagonal is 0.
        positive: name or index of the class that costs such as "missed=10,false=1" are about.
    """

    matrix: Tensor

    def __init__(self, counts: Any, *, cost: Any = None, positive: str | int | None = None) -> None:
        super().__init__()
        log_prior = log_priors(counts, "mask")
        self.cost, self._positive, self._rarest = cost, positive, int(log_prior.nan_to_num(neginf=torch.inf).argmin())
        self.register_buffer("matrix", torch.full((len(log_prior), len(log_prior)), torch.nan, dtype=torch.float64))
        if cost is not None and not isinstance(positive, str) and (not isinstance(cost, str) or "=" in cost):
            self.name_classes([str(j) for j in range(len(log_prior))])

    def name_classes(self, classes: Sequence[str]) -> None:
        """Read the costs by the names of the classes."""
        positive = self._rarest if self._positive is None else class_index(self._positive, classes, "positive")
        matrix = torch.from_numpy(read_cost(self.cost, classes, positive))
        move_threshold(torch.full((1, len(matrix)), 1 / len(matrix), dtype=torch.float64), matrix)  # refuses a diagonal
        self.matrix.copy_(matrix)

    def forward(self, scores: T) -> T:
        """Return moved probabilities (N, C), like the scores: tensor or array."""
        if bool(self.matrix.isnan().any()):
            raise ValueError("cost must be read by class names before use; call name_classes(classes)")

        def moved(z: Tensor) -> Tensor:
            return move_threshold(checked_scores(z, len(self.matrix), "scores").double().softmax(1), self.matrix)

        return apply_to(scores, moved)

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return f"classes={len(self.matrix)}"
