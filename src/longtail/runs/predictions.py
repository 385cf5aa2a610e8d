"""Predictions of a model on new rows: class names, probabilities, and the rule that decided."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from longtail.facts import files

SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True)
class Predictions:
    """What a model says of N rows, N - M of them skipped.

    Args:
        labels: the M class names decided for.
        probabilities: (M, C) float64, rows summing to 1, columns in the order of `classes`.
        classes: the C class names.
        rule: in words, what decided.
        prior: in words, the class prior that the probabilities refer to.
        rows: the N rows' own names (paths of images), or None where they are numbered.
        notes: what about the rows training did not know, as sentences.
        skipped: row -> why nothing is said of it.
    """

    labels: tuple[str, ...]
    probabilities: Tensor
    classes: tuple[str, ...]
    rule: str
    prior: str
    rows: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    skipped: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def missing(self) -> dict[str, str]:
        """Name of a row that was skipped -> why."""
        return {str(row) if self.rows is None else self.rows[row]: why for row, why in self.skipped.items()}

    @property
    def columns(self) -> dict[str, list[Any]]:
        """The table as columns: row (or file), prediction, its probability, p(class) for every class, rule, prior.

        A row that was skipped has its name and, in the place of the rule, the reason; its other cells are None.
        """
        values = self.probabilities.tolist()
        place = {name: j for j, name in enumerate(self.classes)}
        told = [row[place[label]] for row, label in zip(values, self.labels, strict=True)]
        size = len(self)
        found: dict[str, list[Any]] = {"prediction": list(self.labels), "probability": told}
        found |= {f"p({name})": [row[j] for row in values] for j, name in enumerate(self.classes)}
        found |= {"rule": [self.rule] * size, "prior": [self.prior] * size}
        for row, why in sorted(self.skipped.items()):  # in order, so that each stands in its place at last
            for name, cells in found.items():
                cells.insert(row, f"skipped: {why}" if name == "rule" else None)
        whole = range(size + len(self.skipped))
        return {"row": list(whole)} | found if self.rows is None else {"file": list(self.rows)} | found

    def frame(self) -> Any:
        """The same as a pandas frame."""
        import pandas

        return pandas.DataFrame(self.columns)

    def csv(self) -> str:
        """The same as text; numbers are written so that they read back exactly."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        columns = self.columns
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
        return out.getvalue()

    def write(self, path: str | Path) -> None:
        """Write .csv or .parquet, whole or not at all."""
        target = checked(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".csv":
            files.write_text(target, self.csv())
            return
        arrow, parquet = _pyarrow()
        buffer = io.BytesIO()
        parquet.write_table(arrow.table(self.columns), buffer)
        files.write_bytes(target, buffer.getvalue())


def checked(path: str | Path) -> Path:
    """A file that `Predictions.write` can write.

    Raises:
        ValueError: another ending, or a folder.
        ModuleNotFoundError: parquet without longtail[data].
    """
    target = Path(path)
    if target.suffix not in SUFFIXES or target.is_dir():
        raise ValueError(f"--out must be a file that ends in {' or '.join(SUFFIXES)}, got {str(path)!r}; rename it")
    if target.suffix == ".parquet":
        _pyarrow()
    return target


def _pyarrow() -> Any:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ModuleNotFoundError("writing parquet needs pyarrow; install longtail[data], or write .csv") from None
    return pyarrow, parquet
