"""The sources of a data set's rows: the file and row behind each prediction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple, Self

import numpy as np

from longtail.facts.files import json_checksum


class Place(NamedTuple):
    """One row of the source: its file (or array) and the row in it, from 0; None where the file is the row."""

    file: str
    row: int | None


@dataclass(frozen=True)
class Origin:
    """N rows in the order in which they were read.

    Args:
        files: (name, number of rows) of every file, array or frame, in that order.
        names: the rows' names (paths of images), skipped ones included; then `files` is empty.
    """

    files: tuple[tuple[str, int], ...] = ()
    names: tuple[str, ...] | None = None

    def places(self, rows: Iterable[int]) -> list[Place]:
        """Return the sources of these rows.

        Raises:
            ValueError: a row outside of [0, N).
        """
        ends = list(accumulate(size for _, size in self.files))
        total = len(self.names) if self.names is not None else ends[-1] if ends else 0
        places = []
        for row in map(int, rows):
            if not 0 <= row < total:
                raise ValueError(f"rows must be in [0, {total}), got {row}; pass the index of this run's predictions")
            if self.names is not None:
                places.append(Place(self.names[row], None))
                continue
            file = int(np.searchsorted(ends, row, side="right"))
            places.append(Place(self.files[file][0], row - (ends[file] - self.files[file][1])))
        return places

    @cached_property
    def digest(self) -> str:
        """SHA-256 of files and names."""
        return json_checksum(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        files = [{"name": name, "rows": rows} for name, rows in self.files]
        return {"schema_version": 1, "files": files, "names": None if self.names is None else list(self.names)}

    @classmethod
    def from_json(cls, description: Any) -> Self:
        """Return the origin that `to_json` described.

        Raises:
            ValueError: the description is not one.
        """
        try:
            files = tuple((str(file["name"]), int(file["rows"])) for file in description["files"])
            names = description["names"]
            return cls(files, None if names is None else tuple(map(str, names)))
        except (LookupError, TypeError, ValueError) as error:
            raise ValueError(f"a list of sources must hold files and names, got none ({error})") from None
