"""Candidate sets as targets: the sets themselves, or confidences in their classes that training refines."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from longtail.facts.types import Batch, Outputs, Progress, TrainingData
from longtail.functional import candidate_posterior

Rule = Callable[[Tensor, Tensor], Tensor]
"""(logits (B, C), candidates (B, C) bool) -> what the rows are taught next (B, C)."""


class CandidateSets(nn.Module):
    """The candidate sets of the batch, 1.0 for a candidate and 0.0 for another class; nothing is stored."""

    def forward(self, batch: Batch, outputs: Outputs, progress: Progress) -> tuple[Tensor, None]:
        """Return the sets (B, C) in the dtype of the logits."""
        return batch["targets"].to(outputs.logits.dtype), None

    def observe(self, batch: Batch, outputs: Outputs, progress: Progress) -> None:
        """Store nothing."""

    def refresh(self, data: TrainingData, progress: Progress) -> None:
        """Compute nothing."""


class Confidences(nn.Module):
    """What is taught of every row, q (N, C), changed after each step of the row.

    After a step, the rows of its batch get q <- rule(z, candidates). By default z are the logits of that step; with
    `second_pass` those of a further pass over the batch after the update, which the learner makes.

    Args:
        candidates: (N, C) bool, at least one class a row.
        start: progress from which on q is updated.
        rule: (logits (B, C), candidates (B, C)) -> (B, C); by default softmax(z) on the candidates, renormalised.
        first: q of the start (N, C), by default uniform on the candidates.
        second_pass: whether the rule needs the logits after the update.

    Raises:
        ValueError: a row without a candidate.
    """

    confidence: Tensor

    def __init__(
        self,
        candidates: Tensor,
        start: float = 0.0,
        *,
        rule: Rule = candidate_posterior,
        first: Tensor | None = None,
        second_pass: bool = False,
    ) -> None:
        super().__init__()
        sizes = candidates.sum(1, keepdim=True)
        if not bool((sizes > 0).all()):
            row = int((sizes == 0).flatten().nonzero()[0])
            raise ValueError(f"candidates must name at least one class a row, got none in row {row}; leave it out")
        self.start, self.rule, self.second_pass = start, rule, second_pass
        self.register_buffer("confidence", candidates.float() / sizes if first is None else first.float())

    def forward(self, batch: Batch, outputs: Outputs, progress: Progress) -> tuple[Tensor, None]:
        """Return q (B, C) of the rows, as it was before this step."""
        return self.confidence[batch["index"]], None

    @torch.no_grad()
    def observe(self, batch: Batch, outputs: Outputs, progress: Progress) -> None:
        """Update q of the batch by these outputs."""
        if not isinstance(progress, Tensor) and progress < self.start:
            return
        updated = self.rule(outputs.logits, batch["targets"]).to(self.confidence.dtype)
        if isinstance(progress, Tensor):  # a branch would wait for the device
            updated = torch.where(progress >= self.start, updated, self.confidence[batch["index"]])
        self.confidence[batch["index"]] = updated

    def refresh(self, data: TrainingData, progress: Progress) -> None:
        """Compute nothing."""
