"""Where the rows of a data set stand in what it was read from: the way back from a prediction to its source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple, Self

import numpy as np

from longtail.facts.files import json_checksum


class Place(NamedTuple):
    """One row of the source: its file (or array) and its row there from 0 on; None where the file is the row."""

    file: str
    row: int | None


@dataclass(frozen=True)
class Origin:
    """N rows in the order in which they were read.

    Args:
        files: (name, number of rows) of every file, array or frame, in that order.
        names: the rows' own names (paths of images), those left out included; then there are no `files`.
    """

    files: tuple[tuple[str, int], ...] = ()
    names: tuple[str, ...] | None = None

    def places(self, rows: Iterable[int]) -> list[Place]:
        """Where these rows stand.

        Raises:
            ValueError: a row outside of [0, N).
        """
        ends = list(accumulate(size for _, size in self.files))
        total = len(self.names) if self.names is not None else ends[-1] if ends else 0
        found = []
        for row in map(int, rows):
            if not 0 <= row < total:
                raise ValueError(f"rows must be in [0, {total}), got {row}; pass the index of this run's predictions")
            if self.names is not None:
                found.append(Place(self.names[row], None))
                continue
            file = int(np.searchsorted(ends, row, side="right"))
            found.append(Place(self.files[file][0], row - (ends[file] - self.files[file][1])))
        return found

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        return json_checksum(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        files = [{"name": name, "rows": rows} for name, rows in self.files]
        return {"schema_version": 1, "files": files, "names": None if self.names is None else list(self.names)}

    @classmethod
    def from_json(cls, description: Any) -> Self:
        """What `to_json` described.

        Raises:
            ValueError: something else.
        """
        try:
            files = tuple((str(file["name"]), int(file["rows"])) for file in description["files"])
            names = description["names"]
            return cls(files, None if names is None else tuple(map(str, names)))
        except (LookupError, TypeError, ValueError) as error:
            raise ValueError(f"a list of sources must hold files and names, got none ({error})") from None
