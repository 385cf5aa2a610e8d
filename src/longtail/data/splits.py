"""Training, validation and test parts of one data set, and the stratified hold-out that makes them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.data.label_kinds import CANDIDATES, GIVEN, NONE, check_classes, count_classes
from longtail.data.mapped import MappedExamples
from longtail.data.origin import Origin
from longtail.data.prepare.preparation import Preparation
from longtail.data.rows import Examples
from longtail.data.split.grouping import GroupTable, held_out_groups
from longtail.data.split.limits import Limit, check_share, held_out_size, validation_limits
from longtail.facts import checks
from longtail.facts.messages import quoted

__all__ = ["DATA_SEED", "Limit", "Part", "Splits", "held_out", "validation_limits"]

DATA_SEED = 0
"""Splits and long-tailed subsets are fixed by this seed; the seeds of a comparison never move them."""
NO_VALIDATION = (
    "a search needs validation rows, got none; add --val 0.2 (val=0.2), which takes them from the training rows, or "
    "validate each of these once with --inner-folds 5 (inner_folds=5)"
)

UNLABELLED = "unlabelled"

Part = Examples | MappedExamples
"""Examples in memory, or read row by row; both have the same methods."""


@dataclass(frozen=True)
class Splits:
    """A data set ready to train on: `train`, `test` and, where one was declared or asked for, `val`.

    `facts` say how it was made (name, ratio, profile, shares held out) and belong to its identity; `notes`
    are sentences for the reader of a table. `preparation` made the inputs from raw rows, fitted on `train` alone;
    it is saved with the model, so that new rows are prepared alike. `unlabeled` are training rows without labels.
    `test_rows` (M,) int64 are the rows of `origin`, the data as they were read, of the test part; None where that is
    not known. They do not affect training.
    `truth` (N + M,) int64 are the clean labels of the N training rows and then of the M unlabelled ones, where the data
    were made from clean ones: for groups and diagnostics. It is not part of a `TrainingSet`, of the hash or of a file.
    `cut_rows` are the labelled rows that a long-tailed cut left out, where they were asked for (`keep_cut`): for probes
    that are fitted on all rows, and for no other training.
    `train_rows` (N,) int64 are for the training part what `test_rows` are for the test part.
    """

    name: str
    train: Part
    test: Part
    val: Part | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    preparation: Preparation | None = None
    origin: Origin | None = None
    test_rows: Tensor | None = None
    unlabeled: Part | None = None
    truth: Tensor | None = None
    cut_rows: Part | None = None
    train_rows: Tensor | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The C class names in index order."""
        return self.train.classes

    @property
    def class_counts(self) -> Tensor:
        """(C,) of the training part: int64, or float64 sums of weights where rows have weights.

        Of candidate sets, expected counts: `train.counts_known` says which.
        """
        return self.train.class_counts

    @property
    def counts_known(self) -> bool:
        """Whether `class_counts` are counts."""
        return self.train.counts_known

    @property
    def clean_counts(self) -> Tensor | None:
        """(C,) of the training part by its clean labels, as `class_counts`; None where candidate sets hide them."""
        if self.truth is None:
            return self.class_counts if self.counts_known else None
        truth = self.truth[: len(self.train)].to(self.train.targets.device)
        return count_classes(truth, len(self.classes), self.train.sample_weight)

    @property
    def test_counts(self) -> Tensor:
        """(C,) of the test part, as `class_counts`."""
        return self.test.class_counts

    @property
    def every_row(self) -> bool:
        """Whether no row is left for testing."""
        return len(self.test) == 0

    @cached_property
    def hash(self) -> str:
        """SHA-256 of every value of every part: another row, order or label gives another hash."""
        digest = hashlib.sha256()
        for part in (self.train, self.val, self.test):
            digest.update(b"part")
            if part is not None:
                part.update_hash(digest)
        if self.unlabeled is not None:
            digest.update(b"unlabeled")
            self.unlabeled.update_hash(digest)
        if self.cut_rows is not None:
            digest.update(b"cut")
            self.cut_rows.update_hash(digest)
        return digest.hexdigest()

    def without_test(self) -> Splits:
        """Return data for a search: the validation part takes the place of the test part, which is no longer in them.

        Raises:
            ValueError: there is no validation part.
        """
        if self.val is None:
            raise ValueError(NO_VALIDATION)
        return replace(self, test=self.val, val=None, test_rows=None)

    def checked(self) -> Splits:
        """Check everything that training needs, and return the splits with notes on what cannot be measured.

        Raises:
            ValueError: fewer than two classes, a class without training examples, NaN features, no test examples, a
                part with labels of another kind than it must have, or with other classes or features than the others.
        """
        check_classes(self.classes)
        self._check_kinds()
        counts = count_classes(self.train.targets, len(self.classes), None)
        empty = [self.classes[int(j)] for j in torch.nonzero(counts == 0).flatten()]
        if empty:
            raise ValueError(
                f"every class must have a training example, got none of class {', '.join(map(repr, empty[:5]))}; "
                "drop the class from the labels or add an example of it"
            )
        parts = (self.train, self.val, self.test, self.unlabeled, self.cut_rows)
        for name, part in zip(("training", "validation", "test", UNLABELLED, "cut"), parts, strict=True):
            if part is not None:
                if len(part) == 0 and not (name == "test" and self.facts.get("test") == 0):
                    raise ValueError(f"the {name} part must not be empty, got 0 examples; hold out a larger share")
                self._check_alike(name, part)
                # rows of a map-style data set are checked when they are read
                if isinstance(part, Examples) and part.inputs.is_floating_point():
                    checks.finite(part.inputs, f"features of the {name} part")
                if part.sample_weight is not None:
                    checks.sample_weight(part.sample_weight)
        weightless = [self.classes[int(j)] for j in torch.nonzero(self.class_counts == 0).flatten()]
        if weightless:
            raise ValueError(
                f"every class must have a training example of weight > 0, got only 0 in class {weightless[0]!r}; "
                "correct its weights or drop the class"
            )
        # a note appears once, however often the splits are checked
        return replace(self, notes=tuple(dict.fromkeys((*self.notes, *self._unmeasured()))))

    def _check_alike(self, name: str, part: Part) -> None:
        """Raise ValueError where a part has other classes or features than the training part."""
        if tuple(part.classes) != tuple(self.classes):
            others = [quoted(c) for c in part.classes if c not in self.classes]
            other = others[0] if others else "another order"
            if len(part.classes) != len(self.classes):
                other = f"{len(part.classes)} classes"
            raise ValueError(
                f"the {name} part must have the {len(self.classes)} classes of the training part in their order, got "
                f"{other}; give all parts the same classes"
            )
        if part.input_shape != self.train.input_shape:
            raise ValueError(
                f"the {name} part must have the features of the training part, got {part.input_shape} against "
                f"{self.train.input_shape}; give all parts the same columns, or images of the same size"
            )
        types = [one.inputs.dtype for one in (part, self.train) if isinstance(one, Examples)]
        if name == UNLABELLED and torch.uint8 in types and len(set(types)) > 1:
            raise ValueError(
                f"the {name} part must have numbers of the type of the training part, got {types[0]} against "
                f"{types[1]}; convert both in the same way"
            )

    def _check_kinds(self) -> None:
        """Raise ValueError where a part has labels of another kind than it must."""
        if self.train.kind == CANDIDATES and bool((none := ~self.train.targets.any(1)).any()):
            raise ValueError(
                f"every row must have a candidate, got none in training row {int(none.nonzero()[0])}; "
                "leave it out or name its classes"
            )
        if self.unlabeled is not None and self.unlabeled.kind != NONE:
            raise ValueError(
                f"unlabeled must be rows without labels, got rows whose labels are {self.unlabeled.kind}; "
                "give them the targets of data.label_kinds.unlabeled"
            )
        for name, part in (("training", self.train), ("validation", self.val), ("test", self.test)):
            labels = part.targets if part is not None and part.kind == GIVEN else torch.empty(0)
            if bool((wrong := (labels < 0) | (labels >= len(self.classes))).any()):
                raise ValueError(
                    f"labels of the {name} part must be in 0 to {len(self.classes) - 1}, one number per class, got "
                    f"{int(labels[wrong][0])}; correct them, or name every class"
                )
            if name != "training" and part is not None and part.kind != GIVEN:
                raise ValueError(
                    f"the {name} part must have one label a row, got labels that are {part.kind}; "
                    "hold out rows whose class is known"
                )

    def _unmeasured(self) -> list[str]:
        """Return a note on classes without a test example."""
        missing = [self.classes[int(j)] for j in torch.nonzero(self.test.class_counts == 0).flatten()]
        shown = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
        note = f"without a test example, {len(missing)} of {len(self.classes)} classes cannot be measured: {shown}"
        return [note] if missing and not self.every_row else []


def held_out(
    targets: Tensor, share: float, seed: int = DATA_SEED, groups: np.ndarray | None = None
) -> tuple[Tensor, Tensor]:
    """Return the remaining rows and the rows held out, stratified by class, both ascending.

    Of a class with n examples round(share n) are held out, at least one and never all; a class's only example is
    not, so that no class is missing from training. With groups (N,), whole groups are held out, as near to that
    as they allow (see `held_out_groups`), and a class whose rows all lie in one group is not.
    """
    check_share("share", share)
    generator = np.random.RandomState(seed)
    labels = targets.cpu().numpy()
    if groups is not None:
        out = held_out_groups(GroupTable.of(labels, groups), share, generator)
    else:
        out = np.zeros(len(labels), dtype=bool)
        for j in np.unique(labels):
            rows = np.flatnonzero(labels == j)
            generator.shuffle(rows)
            out[rows[: held_out_size(len(rows), share)]] = True
    return torch.from_numpy(np.flatnonzero(~out)), torch.from_numpy(np.flatnonzero(out))


def left_out(source: Part, before: Tensor, rows: Tensor) -> Part | None:
    """Return the rows `before` of the source that are not among `rows`, ascending; None where there are none."""
    rest = before[~torch.isin(before, rows)]
    return source.take(rest) if len(rest) else None
