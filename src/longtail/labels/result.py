"""The suspects of a data set: what `lt.labels.suspects` returns, with its forms."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from longtail.data.cleaning import HEAD
from longtail.facts.files import write_text
from longtail.labels import table
from longtail.labels.found import Found
from longtail.labels.sheet import sheet


@dataclass(frozen=True, repr=False)
class Suspects(Found):
    """What was found, worst first; shows itself as a table in a notebook and in print. Fields: as of `Found`."""

    def to_csv(self, path: str | Path | None = None, top: int | None = None) -> str:
        """Return the file as text, and write it where a path is given."""
        out = io.StringIO()
        writer = csv.DictWriter(out, HEAD, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.lines(top))
        if path is not None:
            write_text(Path(path), out.getvalue())
        return out.getvalue()

    def to_html(self, path: str | Path, top: int = 60) -> None:
        """Write the worst suspects as a sheet of pictures.

        Raises:
            ValueError: the data are no images.
        """
        write_text(Path(path), sheet(self, top))

    def to_json(self, top: int | None = None) -> dict[str, Any]:
        """Return plain JSON: suspects, classes, groups and notes."""
        return {
            "schema_version": 1, "data": self.name, "method": self.method, "examined": len(self.scores),
            "fingerprint": self.data, "suspects": self.lines(top),
            "classes": [{**asdict(one), "enough": one.enough} for one in self.classes],
            "groups": list(self.groups), "notes": list(self.notes),
        }  # fmt: skip

    def __repr__(self) -> str:
        return table.plain(self)

    def _repr_html_(self) -> str:
        return table.html(self)
