"""What the sections of a page are made from, and what they make."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from markupsafe import Markup

from longtail.report.printable import shown

Summary = dict[str, Any]
Row = dict[str, Any]

LONGEST = 80
"""Characters of a name on the page."""


@dataclass(frozen=True)
class Section:
    """One part of the page: an anchor, a heading, and HTML whose own headings begin at h3."""

    id: str
    title: str
    html: Markup


@dataclass(frozen=True)
class Page:
    """What every section reads.

    Args:
        summary: the content of comparison.json.
        folder: of the comparison, where its run folders are; None where there is none.
        ignored: codes of findings that are left out.
    """

    summary: Summary
    folder: Path | None = None
    ignored: frozenset[str] = frozenset()

    @property
    def rows(self) -> list[Row]:
        """One per method, best first, context last."""
        rows: list[Row] = self.summary["rows"]
        return rows

    @property
    def reference(self) -> str:
        """The method that others are compared with."""
        return str(self.summary["reference"])

    @property
    def is_run(self) -> bool:
        """Whether the page is of one run, which nothing is compared with."""
        return bool(self.summary.get("kind") == "run")

    @cached_property
    def classes(self) -> list[str]:
        """(C,) names, in visible characters and not too long."""
        return [shown(name, longest=LONGEST) for name in self.summary["data"]["classes"]]

    def run_folders(self, row: Row) -> list[Path]:
        """The folders of a row's runs that are there."""
        if self.folder is None:
            return []
        folders = [self.folder / run["folder"] for run in row["runs"] if "folder" in run]
        return [folder for folder in folders if folder.is_dir()]
