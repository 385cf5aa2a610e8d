"""Predictions of a model on new rows: class names, probabilities, and the rule that decided."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from longtail.engine import packing

SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True)
class Predictions:
    """What a model says of N rows.

    Args:
        labels: the N class names decided for.
        probabilities: (N, C) float64, rows summing to 1, columns in the order of `classes`.
        classes: the C class names.
        rule: in words, what decided.
        prior: in words, the class prior that the probabilities refer to.
        rows: the rows' own names (paths of images), or None where they are numbered.
        notes: what about the rows training did not know, as sentences.
    """

    labels: tuple[str, ...]
    probabilities: Tensor
    classes: tuple[str, ...]
    rule: str
    prior: str
    rows: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def columns(self) -> dict[str, list[Any]]:
        """The table as columns: row (or file), prediction, its probability, p(class) for every class, rule, prior."""
        values = self.probabilities.tolist()
        place = {name: j for j, name in enumerate(self.classes)}
        told = [row[place[label]] for row, label in zip(values, self.labels, strict=True)]
        named: dict[str, list[Any]] = (
            {"row": list(range(len(self)))} if self.rows is None else {"file": list(self.rows)}
        )
        named |= {"prediction": list(self.labels), "probability": told}
        named |= {f"p({name})": [row[j] for row in values] for j, name in enumerate(self.classes)}
        return named | {"rule": [self.rule] * len(self), "prior": [self.prior] * len(self)}

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
            packing.write_bytes(target, self.csv().encode())
            return
        arrow, parquet = _pyarrow()
        buffer = io.BytesIO()
        parquet.write_table(arrow.table(self.columns), buffer)
        packing.write_bytes(target, buffer.getvalue())


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
