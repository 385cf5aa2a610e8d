"""What a method trains on: labelled rows, rows without labels, and validation rows for tuning; never the test part."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from longtail.data.splits import Part, Splits


@dataclass(frozen=True)
class TrainingSet:
    """The rows that a stage may use.

    Meta sets and thresholds come from `val`, or are taken out of `labeled`. `clean_counts` (C,), the true class counts
    of rows whose labels were hidden, are None for all methods but those shown for context.
    """

    labeled: Part
    unlabeled: Part | None = None
    val: Part | None = None
    clean_counts: Tensor | None = None

    @classmethod
    def of(cls, splits: Splits, *, clean_counts: bool = False) -> TrainingSet:
        """Return the parts of a data set that training may use, with the true class counts where asked for."""
        return cls(splits.train, splits.unlabeled, splits.val, splits.clean_counts if clean_counts else None)

    @property
    def classes(self) -> tuple[str, ...]:
        """The C class names in index order."""
        return self.labeled.classes

    @property
    def class_counts(self) -> Tensor:
        """(C,) of the labelled rows; expected counts where their labels are candidate sets."""
        return self.labeled.class_counts

    @property
    def counts_known(self) -> bool:
        """Whether `class_counts` are counts."""
        return self.labeled.counts_known

    def to(self, device: str | torch.device) -> TrainingSet:
        """Return the same rows on another device."""
        parts = (self.labeled, self.unlabeled, self.val, self.clean_counts)
        return TrainingSet(*(None if part is None else part.to(device) for part in parts))  # type: ignore[arg-type]

    @property
    def hash(self) -> str:
        """SHA-256 of every value that training can use."""
        digest = hashlib.sha256()
        for part in (self.labeled, self.unlabeled, self.val):
            digest.update(b"part")
            if part is not None:
                part.update_hash(digest)
        return digest.hexdigest()
