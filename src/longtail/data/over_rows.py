"""Batches of rows with something added to each: what is that of the rows themselves."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor

from longtail.data.rows import BatchedRows
from longtail.data.views.types import RandomNumbers
from longtail.facts.types import Batch, Drawn


class OverRows(RandomNumbers):
    """The batches of `rows`, changed: a subclass says what is drawn (`draws`) and what is made of it (`batch_of`)."""

    rows: BatchedRows

    @property
    def class_counts(self) -> Tensor:
        """(C,) of the rows."""
        return self.rows.class_counts

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def eager(self) -> str:
        """The reason of the rows' augmentation."""
        return self.rows.eager

    def steps(self) -> int:
        """Return the number of batches in an epoch."""
        return self.rows.steps()

    @abstractmethod
    def draws(self, progress: float, generator: torch.Generator) -> Iterator[Drawn]:
        """Yield the random part of every batch of one epoch."""

    @abstractmethod
    def batch_of(self, drawn: Drawn) -> Batch:
        """Return the batch that was drawn."""

    def batches(self, progress: float, generator: torch.Generator) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        yield from map(self.batch_of, self.draws(progress, generator))
