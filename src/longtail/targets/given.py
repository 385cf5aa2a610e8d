"""Given labels: the trivial `Targets`, and what supervised learning is."""

from __future__ import annotations

from torch import Tensor, nn

from longtail.facts.types import Batch, Outputs, Progress, TrainingData


class Given(nn.Module):
    """Teach what the batch says; nothing is estimated, nothing remembered."""

    def forward(self, batch: Batch, outputs: Outputs, progress: Progress) -> tuple[Tensor, Tensor | None]:
        """The batch's own targets, every example counting alike."""
        return batch["targets"], None

    def observe(self, batch: Batch, outputs: Outputs, progress: Progress) -> None:
        """Nothing to note."""

    def refresh(self, data: TrainingData, progress: Progress) -> None:
        """Nothing to solve."""
