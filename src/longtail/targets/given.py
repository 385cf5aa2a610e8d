"""Given labels: the `Targets` of supervised learning."""

from __future__ import annotations

from torch import Tensor, nn

from longtail.facts.types import Batch, Outputs, Progress, TrainingData


class Given(nn.Module):
    """The labels of the batch; nothing is estimated or stored.

    Args:
        name: of the labels in the batch: "targets", or "turns" of `data.turned`.
    """

    def __init__(self, name: str = "targets") -> None:
        super().__init__()
        self.name = name

    def forward(self, batch: Batch, outputs: Outputs, progress: Progress) -> tuple[Tensor, Tensor | None]:
        """Return the batch's own targets, without weights."""
        return batch[self.name], None  # type: ignore[literal-required]

    def observe(self, batch: Batch, outputs: Outputs, progress: Progress) -> None:
        """Store nothing."""

    def refresh(self, data: TrainingData, progress: Progress) -> None:
        """Compute nothing."""
