"""What a method trains on: labelled rows, rows without labels, and validation rows for tuning; never the test part."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from longtail.data.mapped import MappedExamples
from longtail.data.splits import Part, Splits


@dataclass(frozen=True)
class TrainingSet:
    """The rows that a stage may use.

    Meta sets and thresholds come from `val`, or are taken out of `labeled`. `given` are the labelled rows before
    self-training has added some to `labeled`, and None where it has not. `cut` are labelled rows that a long-tailed cut
    left out: only a stage that says so gets them (`Stage.reads_cut`).
    """

    labeled: Part
    unlabeled: Part | None = None
    val: Part | None = None
    given: Part | None = None
    cut: Part | None = None

    @classmethod
    def of(cls, splits: Splits) -> TrainingSet:
        """Return the parts of a data set that training may use."""
        return cls(splits.train, splits.unlabeled, splits.val, cut=splits.cut_rows)

    @property
    def classes(self) -> tuple[str, ...]:
        """The C class names in index order."""
        return self.labeled.classes

    @property
    def class_counts(self) -> Tensor:
        """(C,) of the labelled rows; expected counts where their labels are candidate sets."""
        return self.labeled.class_counts

    @property
    def given_counts(self) -> Tensor:
        """(C,) of the rows whose labels were given, which rows without labels are supposed to be like."""
        return self.labeled.class_counts if self.given is None else self.given.class_counts

    @property
    def counts_known(self) -> bool:
        """Whether `class_counts` are counts."""
        return self.labeled.counts_known

    def with_labels(self, rows: Tensor, labels: Tensor) -> Self:
        """Return the set whose labelled part has some rows without labels, too, under given labels.

        `unlabeled` contains them as before.

        Args:
            rows: (M,) int64, of `unlabeled`.
            labels: (M,) int64.

        Raises:
            ValueError: as `joined`.
        """
        assert self.unlabeled is not None
        given = self.labeled if self.given is None else self.given
        return replace(self, labeled=joined(self.labeled, self.unlabeled.take(rows), labels), given=given)

    def to(self, device: str | torch.device) -> Self:
        """Return the same rows on another device."""
        parts = {"labeled": self.labeled, "unlabeled": self.unlabeled, "val": self.val, "given": self.given}
        parts["cut"] = self.cut
        moved: Any = {name: None if part is None else part.to(device) for name, part in parts.items()}
        return replace(self, **moved)

    @property
    def hash(self) -> str:
        """SHA-256 of every value that training can use."""
        digest = hashlib.sha256()
        for part in (self.labeled, self.unlabeled, self.val):
            digest.update(b"part")
            if part is not None:
                part.update_hash(digest)
        return digest.hexdigest()


def joined(rows: Part, more: Part, labels: Tensor | None = None) -> Part:
    """Return rows and then further ones under these labels, or without labels and weights; see `Examples.joined`.

    Raises:
        ValueError: one part is in memory and the other is not.
    """
    check_alike(rows, more)
    return rows.joined(more, labels)  # type: ignore[arg-type]


def check_alike(rows: Part, more: Part | None) -> None:
    """Raise ValueError where one of two parts is in memory and the other is not."""
    if more is not None and isinstance(rows, MappedExamples) != isinstance(more, MappedExamples):
        raise ValueError(
            "unlabeled rows must lie in memory where the labelled rows do, got one part that is read row by row; give "
            "both alike"
        )
