"""Given labels, of which those that the network finds improbable are left out; looked at anew now and then."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from longtail.facts.knobs import Range
from longtail.facts.types import Batch, Outputs, Progress, Record
from longtail.functional.mixtures import widen
from longtail.targets.given import Given

NEAR = 1e-9
"""By how much progress may miss the start of a period: it is a quotient of floats."""


class Truncated(Given):
    """The labels of the batch with weights w_i = [p_i > k], p_i the network's probability of row i's label.

    All w are computed at once, by the network as it is at the start of an epoch and in evaluation mode: in the first
    epoch at progress `start` or later, and in the first of every period of length `every` from there on. Before, they
    are 1. A row of weight 0 has no loss, and counts in the mean of its batch; a batch of such rows has loss 0 and no
    gradient, so that its step has only momentum and weight decay. A row that is left out comes back once p_i > k.

    Args:
        size: N.
        k: in (0, 1).
        start: progress of the first computation, in [0, 1]; 1 is never.
        every: the length of a period, in (0, 1], as a share of the training; shorter than an epoch, it is one.

    Reference: Zhang and Sabuncu, Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels,
    NeurIPS 2018, algorithm 1.
    """

    masks = True
    weight: Tensor
    period: Tensor

    def __init__(self, size: int, k: float = 0.5, *, start: float = 1 / 3, every: float = 1 / 12) -> None:
        super().__init__()
        Range(0, 1, open_low=True, open_high=True).check("k", k)
        Range(0, 1).check("start", start)
        Range(0, 1, open_low=True).check("every", every)
        self.k, self.start, self.every = k, start, every
        self.register_buffer("weight", torch.ones(size))
        self.register_buffer("period", torch.tensor(-1))

    def forward(self, batch: Batch, outputs: Outputs, progress: Progress) -> tuple[Tensor, Tensor]:
        """Return the labels (B,) and w (B,)."""
        return batch["targets"], self.weight[batch["index"]]

    def refresh_with(self, outputs: Callable[[], Outputs], rows: Any, progress: Progress) -> None:
        """Compute all w where a period begins.

        Args:
            outputs: a pass over all rows.
            rows: with their labels, `targets` (N,).
            progress: of the epoch that begins.
        """
        period = self._period(progress)
        if period <= int(self.period):
            return
        log_p = torch.log_softmax(widen(outputs().logits), 1)
        own = log_p.gather(1, rows.targets.to(log_p.device).unsqueeze(1)).squeeze(1)
        self.weight.copy_(own > math.log(self.k))
        self.period.fill_(period)

    def _period(self, progress: Progress) -> int:
        """Return the number of the period, -1 before the first."""
        since = float(progress) - self.start
        return max(math.floor(since / self.every + NEAR), -1) if since > -NEAR else -1

    def epoch_record(self) -> Record:
        """Return the share of rows that are learnt."""
        return {"kept": float(self.weight.mean())}
