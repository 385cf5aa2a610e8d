"""Soft labels of all rows without labels, refined now and then so that their class totals are right: DARP."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from longtail.facts.types import Batch, Outputs, Progress, Record
from longtail.functional import refine_pseudo_labels
from longtail.targets.refinement import Refinement


class DARP(Refinement):
    """The guesses of all rows, stored as they come; every `period` steps all are refined together.

    y = refine_pseudo_labels(stored guesses, totals); a batch is taught its rows of y, which may be `period` - 1 steps
    old. Before `start` the guesses are stored and returned as they are. Rows that were not visited have uniform labels.

    Memory: two (N, C) in float32, and while they are refined three in float64.

    Args:
        size: N, the rows without labels.
        totals: (C,), in any scale.
        estimate: stored guesses (N, C) -> totals, computed anew at each refinement; None for those given.
        keep, weights: see `functional.refine_pseudo_labels`.
        period: steps between two refinements, >= 1.
        start: progress from which on labels are refined; 1 never.
    """

    stored: Tensor
    refined: Tensor
    totals: Tensor
    multipliers: Tensor
    step: Tensor

    def __init__(
        self,
        size: int,
        totals: Tensor,
        *,
        estimate: Callable[[Tensor], Tensor] | None = None,
        keep: float = 2.0,
        weights: str = "entropy",
        period: int = 10,
        start: float = 0.4,
    ) -> None:
        super().__init__()
        self.estimate, self.keep, self.weights = estimate, keep, weights
        self.period, self.start = period, start
        classes = len(totals)
        self.register_buffer("stored", torch.full((size, classes), 1 / classes))
        self.register_buffer("refined", torch.full((size, classes), 1 / classes))
        self.register_buffer("totals", totals.double().clone())
        self.register_buffer("multipliers", torch.zeros(classes, dtype=torch.float64))
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def forward(self, batch: Batch, guess: Tensor, outputs: Outputs, progress: Progress) -> Tensor:
        """Store the guesses (M, C) of the batch, and return its refined labels (M, C)."""
        index = batch["index"]
        if not self.holding:
            self.stored[index] = guess.to(self.stored.dtype)
        if progress < self.start:
            return guess
        if not self.holding:
            if int(self.step) % self.period == 0:
                self._refine()
            self.step += 1
        return guess if int(self.step) == 0 else self.refined[index].to(guess.dtype)

    def _refine(self) -> None:
        if self.estimate is not None:
            self.totals.copy_(self.estimate(self.stored))
        found = refine_pseudo_labels(
            self.stored, self.totals, keep=self.keep, weights=self.weights, start=self.multipliers
        )
        self.refined.copy_(found.labels)
        self.multipliers.copy_(found.multipliers)

    def epoch_record(self) -> Record:
        """Return the totals of the labels as they are now, in the scale of the N rows."""
        return {"totals": (self.totals / self.totals.sum() * len(self.stored)).tolist()}

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return f"keep={self.keep}, weights={self.weights!r}, period={self.period}, start={self.start}"
