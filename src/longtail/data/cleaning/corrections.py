"""Drop training rows whose labels are wrong, or give them the likely label; no row for testing is ever changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from longtail.data.cleaning.lines import NAMED, Line, read_lines
from longtail.data.label_kinds import GIVEN
from longtail.data.mapped import MappedExamples
from longtail.data.pool import Pool
from longtail.data.simulate.parts import with_own_labels
from longtail.data.splits import Splits
from longtail.facts.files import json_checksum

OTHER_DATA = (
    "must be of these training rows, got those of other data or of another --ratio, --label, --noise or split; give "
    "the options that longtail labels had, or run it again"
)


class Applied(NamedTuple):
    """What is left of M training rows.

    Args:
        kept: (M,) bool.
        targets: (M,) int64.
    """

    kept: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Corrections:
    """Labels to be corrected: rows to drop, and rows to relabel."""

    drop: tuple[Line, ...] = ()
    relabel: tuple[Line, ...] = ()

    @property
    def facts(self) -> dict[str, Any]:
        """The number of rows and a checksum of what becomes of them: part of the identity of the data."""
        said: dict[str, list[list[Any]]] = {
            "dropped": [[one.row] for one in self.drop],
            "relabelled": [[o.row, o.likely] for o in self.relabel],
        }
        return {
            name: {"rows": len(rows), "checksum": json_checksum(sorted(rows))[:8]}
            for name, rows in said.items()
            if rows
        }

    def notes(self) -> list[str]:
        """Return a sentence per option that says how many rows of each class it concerns."""
        notes = []
        if self.drop:
            of = ", ".join(f"{n} of {name}" for name, n in sorted(Counter(one.given for one in self.drop).items()))
            notes.append(f"{_rows(len(self.drop))} dropped for suspected labels (--drop): {of}")
        if self.relabel:
            moved = Counter((one.given, one.likely) for one in self.relabel)
            of = ", ".join(f"{n} from {given} to {likely}" for (given, likely), n in sorted(moved.items()))
            notes.append(f"{_rows(len(self.relabel))} relabelled (--relabel): {of}")
        return notes

    def applied(self, rows: Tensor, targets: Tensor, classes: Sequence[str]) -> Applied:
        """Return which training rows are kept, and their labels.

        Args:
            rows: (M,) int64, the training rows as rows of the data as they were read.
            targets: (M,) int64, their labels.
            classes: the C class names.

        Raises:
            ValueError: a line of no training row, or of a row with another label; a file of other data; a label that
                is no class; a row that is in both files; a class that would be left without a row.
        """
        position = {row: i for i, row in enumerate(rows.tolist())}
        index = {name: j for j, name in enumerate(classes)}
        mark = fingerprint(rows, targets, classes)
        if both := {one.row for one in self.drop} & {one.row for one in self.relabel}:
            raise ValueError(
                f"drop_rows and relabel must name different rows, got row {min(both)} in both; delete one line"
            )
        for option, lines in (("drop", self.drop), ("relabel", self.relabel)):
            for one in lines:
                _check(NAMED[option], one, position, targets, classes, mark)
        kept, changed = torch.ones(len(rows), dtype=torch.bool), targets.clone()
        for one in self.drop:
            kept[position[one.row]] = False
        for one in self.relabel:
            if one.likely not in index:
                raise ValueError(
                    f"relabel (--relabel) must name classes of these data, got {one.likely!r} for row {one.row}; "
                    "correct it, or drop the row"
                )
            changed[position[one.row]] = index[one.likely]
        left = torch.bincount(changed[kept], minlength=len(classes))
        if len(empty := torch.nonzero(left == 0).flatten()):
            raise ValueError(
                f"drop_rows and relabel (--drop, --relabel) must leave a row of every class, got none of "
                f"{classes[int(empty[0])]!r}; delete a line of this class"
            )
        return Applied(kept, changed)

    def of_pool(self, pool: Pool, rows: Tensor) -> tuple[Pool, Tensor]:
        """Return the pool with the labels of these training rows corrected, and the rows that are kept.

        Raises:
            ValueError: as `applied`, or the labels are candidate sets.
        """
        if pool.kind != GIVEN:
            raise ValueError(
                "drop_rows and relabel (--drop, --relabel) need one label a row, got candidates; leave them out"
            )
        kept, targets = self.applied(pool.source(rows), pool.targets[rows], pool.classes)
        if self.relabel:
            every = pool.targets.clone()
            every[rows] = targets
            pool = pool.with_targets(every)
            if isinstance(pool.rows, MappedExamples):
                pool = replace(pool, rows=with_own_labels(pool.rows))
        return replace(pool, notes=(*pool.notes, *self.notes())), rows[kept]


def corrections(drop: Any = None, relabel: Any = None) -> Corrections | None:
    """Return the corrections that these files or results say, read and checked; None where there are none."""
    if drop is None and relabel is None:
        return None
    options = {"drop": drop, "relabel": relabel}
    return Corrections(**{name: read_lines(source, name) for name, source in options.items() if source is not None})


def corrected_splits(splits: Splits, these: Corrections) -> Splits:
    """Return data that are split already with the training part corrected.

    Raises:
        ValueError: as `Corrections.applied`, or it is not known which rows the training rows are.
    """
    train = splits.train
    if train.kind != GIVEN:
        raise ValueError(
            "drop_rows and relabel (--drop, --relabel) need one label a row, got candidates; leave them out"
        )
    rows = torch.arange(len(train)) if splits.train_rows is None else splits.train_rows
    kept, targets = these.applied(rows, train.targets.cpu(), splits.classes)
    part = with_own_labels(replace(train, targets=targets.to(train.targets.device))) if these.relabel else train
    truth = splits.truth
    if truth is not None:
        truth = truth[torch.cat([kept, torch.ones(len(truth) - len(kept), dtype=torch.bool)])]
    return replace(
        splits, train=part.take(torch.nonzero(kept).flatten()), truth=truth, train_rows=rows[kept],
        facts={**splits.facts, **these.facts}, notes=(*splits.notes, *these.notes()),
    )  # fmt: skip


def fingerprint(rows: Tensor, targets: Tensor, classes: Sequence[str]) -> str:
    """Return eight characters that these training rows have with these labels, and no others."""
    return json_checksum([rows.tolist(), targets.tolist(), list(classes)])[:8]


def _check(named: str, one: Line, position: dict[int, int], targets: Tensor, classes: Sequence[str], mark: str) -> None:
    """Raise ValueError where a line is not of these training rows."""
    if one.row not in position:
        raise ValueError(
            f"{named} must name training rows of these data, got row {one.row}, which is none; it is a file of other "
            "data, or of another --ratio, --noise or split"
        )
    label = classes[int(targets[position[one.row]])]
    if label != one.given:
        raise ValueError(
            f"{named} must have the labels of these data, got {one.given!r} for row {one.row}, which is {label!r}; "
            "it is a file of other data or of other options"
        )
    if one.data not in ("", mark):
        raise ValueError(f"{named} {OTHER_DATA}")


def _rows(number: int) -> str:
    return "1 training row was" if number == 1 else f"{number} training rows were"
