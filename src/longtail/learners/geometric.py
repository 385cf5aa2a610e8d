"""Geometric harmonization beside any loss of two views: a frame, logits stored for every row, and a prior of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn

from longtail.facts.schedules import at, switch
from longtail.facts.types import Batch, Progress, Record, Step, TrainingData
from longtail.functional.geometric import surrogate_labels, surrogate_logits, swapped_prediction

if TYPE_CHECKING:
    from longtail.learners.pair import Compared

FIRST = 0.1
"""Share of the weight in the first epoch with it: the ramp is a tenth, two tenths, ... of it."""
ROUNDING = 1e-6
"""Of progress, which is stored in float32."""


@final
class GeometricHarmonization(nn.Module):
    """GH, a loss beside the host's (`pair.Auxiliary`): both views of a row must be of the same surrogate class.

    loss = weight ramp(p) (-sum_k x^_k log softmax(y / tau)_k - sum_k y^_k log softmax(x / tau)_k)

    x, y: `surrogate_logits` of the first and the second view; x^, y^: `surrogate_labels` of these with the prior, each
    of its own batch. ramp(p) = 0 before `start`, then min(1, 1/10 + (p - start) / ramp). Of a host that passes the
    second view through its moving average alone, y is without a gradient: one direction trains.

    Each row's logits of the first view are stored: s <- m s + (1 - m) x, m = `stay[0]` before `start` and `stay[1]`
    from there on; s begins at the row's first x. The prior is the histogram of their largest entries over the rows that
    have been seen, computed at `start` and then whenever the share `refresh` of the training has passed; it is uniform
    until then.

    Memory: N K floats. A step costs 2 `iterations` passes over (2, B, K), from `start` on; in a captured step, which
    has no branches, from the beginning.

    Args:
        frame: (K, D) unit vectors, D the width of the projections.
        size: N, number of training rows; `batch["index"]` is below it.
        weight, start, ramp, refresh, stay, pseudo_count, eps, tau, iterations: as of `methods.selfsup.geometric.gh`;
            `pseudo_count` is added to each count of the histogram.
    """

    frame: Tensor
    stored: Tensor
    seen: Tensor
    prior: Tensor
    refreshed: Tensor

    def __init__(
        self,
        frame: Tensor,
        size: int,
        *,
        weight: float = 1.0,
        start: float = 0.5,
        ramp: float = 0.01,
        refresh: float = 0.02,
        stay: tuple[float, float] = (0.9, 0.999),
        pseudo_count: float = 0.0,
        eps: float = 0.05,
        tau: float = 0.1,
        iterations: int = 300,
    ) -> None:
        super().__init__()
        self.weight, self.start, self.ramp, self.refresh = weight, start, ramp, refresh
        self.stay = switch(start, *stay)
        self.pseudo_count, self.eps, self.tau, self.iterations = pseudo_count, eps, tau, iterations
        classes = len(frame)
        self.register_buffer("frame", frame.to(torch.get_default_dtype()))
        self.register_buffer("stored", torch.zeros(size, classes))
        self.register_buffer("seen", torch.zeros(size, dtype=torch.bool))
        self.register_buffer("prior", torch.full((classes,), 1 / classes))
        self.register_buffer("refreshed", torch.full((), -math.inf))

    def forward(self, compared: Compared, batch: Batch, progress: Progress) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the losses (B,), and nothing to log."""
        z1, z2 = compared.first.logits, compared.other.logits
        strength = self.strength(progress)
        if not isinstance(strength, Tensor) and strength == 0:
            return z1.new_zeros(len(z1)), {}
        x, y = surrogate_logits(z1, self.frame), surrogate_logits(z2, self.frame)
        labels = surrogate_labels(torch.stack([x, y]), self.prior, eps=self.eps, iterations=self.iterations)
        return strength * swapped_prediction(x, y, labels[0], labels[1], self.tau), {}

    def strength(self, progress: Progress) -> Any:
        """Return weight ramp(p), a float for a float and a 0-dim tensor for a tensor."""
        if isinstance(progress, Tensor):
            risen = torch.ones_like(progress) if self.ramp == 0 else FIRST + (progress - self.start) / self.ramp
            return self.weight * torch.where(progress >= self.start, risen.clamp(max=1.0), 0.0)
        if progress < self.start:
            return 0.0
        return self.weight * (1.0 if self.ramp == 0 else min(1.0, FIRST + (progress - self.start) / self.ramp))

    def start_epoch(self, learner: Any, data: TrainingData, progress: Progress) -> None:
        """Compute the prior where it is due."""
        now = float(progress)
        due = max(self.start, float(self.refreshed) + self.refresh) - ROUNDING
        if now < due or not bool(self.seen.any()):
            return
        counts = torch.bincount(self.stored[self.seen].argmax(1), minlength=len(self.prior)) + self.pseudo_count
        self.prior.copy_(counts / counts.sum())
        self.refreshed.fill_(now)

    @torch.no_grad()
    def after_update(self, batch: Batch, step: Step, progress: Progress) -> None:
        """Store the logits of the rows of a step, as they were before the update."""
        assert step.outputs is not None
        rows = batch["index"]
        new = surrogate_logits(step.outputs.logits, self.frame).to(self.stored.dtype)
        stay = at(self.stay, progress, "stay")
        moved = torch.where(self.seen[rows][:, None], stay * self.stored[rows] + (1 - stay) * new, new)
        self.stored.index_copy_(0, rows, moved)
        self.seen.index_fill_(0, rows, True)

    def epoch_record(self) -> Record:
        """Return the prior's entropy in nats, at most log K, and the share of the largest surrogate class."""
        return {
            "surrogate_entropy": float(torch.special.entr(self.prior).sum()),
            "surrogate_largest": float(self.prior.max()),
        }
