"""What was found of the labels of a data set, as plain values: suspects, and a report of every class."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from longtail.data.mapped import MappedExamples
from longtail.data.rows import Examples
from longtail.labels.confident import Floats, Ints
from longtail.labels.out_of_sample import Evidence


@dataclass(frozen=True)
class Suspect:
    """A row whose label is probably wrong.

    Args:
        row: of the data as they were read, from 0, over all of their files; the head of a table is no row.
        file: the image, or the file of the row; empty for arrays.
        given, likely: its label, and the most probable other class.
        score: the probability that the label is wrong, above 1/2.
        rank: within its given label, 1 is the worst; `of`: rows with that label.
        why: what the trainings said of it.
    """

    row: int
    file: str
    given: str
    likely: str
    score: float
    rank: int
    of: int
    why: str


@dataclass(frozen=True)
class ClassReport:
    """What is known of the labels of one class.

    Args:
        name: of the class.
        rows: with this label.
        suspects: of these.
        wrong: mean probability that a label of this class is wrong; None where no row was out of sample.
        needed: rows that the class would need before anything can be said (`class_sizes`); None where none is known.
        precision, recall: of the suspects, where the clean labels are known and there is something to divide by.
    """

    name: str
    rows: int
    suspects: int
    wrong: float | None
    needed: int | None
    precision: float | None = None
    recall: float | None = None

    @property
    def enough(self) -> bool:
        """Whether the class has rows enough to say something."""
        return self.needed is not None and self.rows >= self.needed


@dataclass(frozen=True)
class Found:
    """The suspects, worst first, and what is known of every class.

    Args:
        rows: the suspects.
        classes: one report per class, in index order.
        scores: (N,), the probability that each label is wrong; NaN for a row that was never out of sample.
        index: (N,), which rows of the data as read these are.
        data: fingerprint of the rows and their labels, by which `drop_rows` and `relabel` recognise them.
        name, method: of the data and of what was trained; `method` is empty where probabilities were given.
        groups: many, medium and few -> precision and recall, where the clean labels are known.
        notes: sentences for the reader.
        labels: (N,), the given labels as indices.
        evidence: what the trainings said, such as `evidence.probabilities` for another tool.
        truth: (N,), the clean labels where they are known.
        source: the examined rows, for pictures of them; None where they are no arrays.
    """

    rows: tuple[Suspect, ...]
    classes: tuple[ClassReport, ...]
    scores: Floats = field(repr=False)
    index: Ints = field(repr=False)
    data: str
    name: str = ""
    method: str = ""
    groups: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    labels: Ints | None = field(default=None, repr=False, compare=False)
    evidence: Evidence | None = field(default=None, repr=False, compare=False)
    truth: Ints | None = field(default=None, repr=False, compare=False)
    source: Examples | MappedExamples | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.rows)

    def top(self, number: int | None) -> tuple[Suspect, ...]:
        """Return the worst suspects; all for None."""
        return self.rows if number is None else self.rows[:number]

    def lines(self, top: int | None = None) -> list[dict[str, Any]]:
        """Return the lines of the file, which `drop_rows=` and `relabel=` take."""
        return [{**asdict(one), "score": round(one.score, 6), "data": self.data} for one in self.top(top)]


def ranks(labels: Ints, scores: Floats) -> Ints:
    """Return (N,): the rank of every row within its label, 1 for the highest score; rows without a score come last."""
    order = np.lexsort((np.arange(len(labels)), -np.where(np.isnan(scores), -1.0, scores)))
    found, seen = np.zeros(len(labels), dtype=np.int64), dict[int, int]()
    for row in order.tolist():
        label = int(labels[row])
        seen[label] = found[row] = seen.get(label, 0) + 1
    return found
