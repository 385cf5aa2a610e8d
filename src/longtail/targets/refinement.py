"""The place at which corrections change the labels that rows without labels are taught."""

from __future__ import annotations

from torch import Tensor, nn

from longtail.facts.types import Batch, Outputs, Progress, TrainingData


class Refinement(nn.Module):
    """Guessed soft labels as they are; a subclass refines them (DARP, by a store of labels per row).

    The order of a step: the call, the update, `observe`.
    """

    holding = False
    """Inside `Learner.held()`, where the call must not change buffers."""

    def forward(self, batch: Batch, guess: Tensor, outputs: Outputs, progress: Progress) -> Tensor:
        """Return refined labels (M, C), rows that sum to 1; without a gradient.

        May change buffers, unless `holding`; then the result for the same batch and guess is the same as before.

        Args:
            batch: the rows without labels; `index` (M,) are their numbers.
            guess: soft labels (M, C).
            outputs: of the V weak views, logits (V, M, C), detached.
            progress: finished share of the stage.
        """
        return guess

    def observe(self, batch: Batch, outputs: Outputs, progress: Progress) -> None:
        """Use the outputs of the weak views after the update; once a step."""

    def refresh(self, data: TrainingData, progress: Progress) -> None:
        """Compute what depends on all rows; at the start of an epoch."""
