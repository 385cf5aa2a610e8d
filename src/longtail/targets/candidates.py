"""Candidate sets as targets: the sets themselves, or confidences in their classes that training refines."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from longtail.facts.types import Batch, Outputs, Progress, TrainingData
from longtail.functional import candidate_posterior


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
    """Confidences q (N, C) in the candidates of every row, each row summing to 1; uniform at first.

    After a step, the rows of its batch get q <- softmax(z) on the candidates, renormalised, z the logits of that step.

    Args:
        candidates: (N, C) bool, at least one class a row.
        start: progress from which on confidences are updated.
    """

    confidence: Tensor

    def __init__(self, candidates: Tensor, start: float = 0.0) -> None:
        super().__init__()
        self.start = start
        self.register_buffer("confidence", candidates.float() / candidates.sum(1, keepdim=True))

    def forward(self, batch: Batch, outputs: Outputs, progress: Progress) -> tuple[Tensor, None]:
        """Return the confidences (B, C) of the rows, as they were before this step."""
        return self.confidence[batch["index"]], None

    @torch.no_grad()
    def observe(self, batch: Batch, outputs: Outputs, progress: Progress) -> None:
        """Update the confidences of the batch by the step's own outputs."""
        if not isinstance(progress, Tensor) and progress < self.start:
            return
        updated = candidate_posterior(outputs.logits, batch["targets"]).to(self.confidence.dtype)
        if isinstance(progress, Tensor):  # a branch would wait for the device
            updated = torch.where(progress >= self.start, updated, self.confidence[batch["index"]])
        self.confidence[batch["index"]] = updated

    def refresh(self, data: TrainingData, progress: Progress) -> None:
        """Compute nothing."""
