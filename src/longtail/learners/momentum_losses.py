"""The momentum loss of every row, and the strength that follows from it (BCL)."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor

from longtail.facts.fixed_dtype import FixedDtype
from longtail.facts.types import Batch, Progress, Record, Step, TrainingData
from longtail.functional import memorisation_scores


@final
class MomentumLosses(FixedDtype):
    """A memory of `PairLearner`: m_i, a moving average of the host's loss of row i, and the strength M_i of its views.

    m_i = l_i the first time that row i is visited, then beta m_i + (1 - beta) l_i; a row that an epoch does not visit
    keeps its own. Over a host whose first losses are of another size (MoCo's, until its queue is full), m_i is the last
    loss until then, and the mean begins with the first one after that. M = `functional.memorisation_scores(m)` is
    computed once before each epoch, so that it is 0 in the first.

    Args:
        rows: N.
        beta: in [0, 1).

    Attributes:
        losses: m (N,) float64.
        visited: (N,) bool, rows that have one.
        begun: (N,) bool, rows whose mean has begun.
        scores: M (N,) float64, of this epoch.
    """

    losses: Tensor
    visited: Tensor
    begun: Tensor
    scores: Tensor

    def __init__(self, rows: int, beta: float = 0.97) -> None:
        super().__init__()
        self.beta = beta
        self.register_buffer("losses", torch.zeros(rows, dtype=torch.float64))
        self.register_buffer("visited", torch.zeros(rows, dtype=torch.bool))
        self.register_buffer("begun", torch.zeros(rows, dtype=torch.bool))
        self.register_buffer("scores", torch.zeros(rows, dtype=torch.float64))

    def strength(self) -> Tensor:
        """Return M (N,): the buffer as it is at the time of the call, on the device of the learner."""
        return self.scores

    @torch.no_grad()
    def start_epoch(self, learner: Any, data: TrainingData, progress: Progress) -> None:
        """Compute the scores of the epoch from the losses of those before."""
        self.scores.copy_(memorisation_scores(self.losses, self.visited))

    @torch.no_grad()
    def after_update(self, batch: Batch, step: Step, progress: Progress) -> None:
        """Move the losses of the rows of a step."""
        assert step.outputs is not None
        index, losses = batch["index"], step.outputs.extra["losses"].to(self.losses.dtype)
        begun, settled = self.begun[index], step.outputs.extra.get("settled")
        moved = self.beta * self.losses[index] + (1 - self.beta) * losses
        self.losses.index_copy_(0, index, torch.where(begun, moved, losses))
        self.visited.index_fill_(0, index, True)
        self.begun.index_copy_(0, index, torch.ones_like(begun) if settled is None else begun | settled)

    def epoch_record(self) -> Record:
        """Return the standard deviation of the epoch's scores, 0 where no view is changed; read once an epoch."""
        return {"strength_std": float(self.scores.std(correction=0))}
