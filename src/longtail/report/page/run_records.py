"""The records of a row's training, epoch by epoch: those of one run stand for all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from longtail.facts import json_documents
from longtail.report.page.page import LONGEST, Page, Row
from longtail.report.printable import shown

Record = dict[str, Any]
Thing = TypeVar("Thing")
WAY_OUT = "run the same command again"
LINES = "metrics.jsonl"
KEPT = "records of trainings"


def run_records(page: Page, row: Row) -> list[Record]:
    """Return the records of the row's first run that is there, of folds those of the first; [] where none is."""
    for folder in page.run_folders(row):
        for place in (folder, folder / "fold-0"):
            if (place / LINES).is_file():
                return _read(place / LINES)
    return []


def which_run(page: Page) -> str:
    """Whose records these are, in words."""
    seeds = page.summary["seeds"]
    fold = ", first fold" if page.summary.get("folds") else ""
    return f"seed {seeds[0]}{fold}" if seeds else "the first run"


def same_training(page: Page) -> Sequence[tuple[list[Row], list[Record]]]:
    """Return the rows that have records, those with the same records together: they share their training."""
    kept = vars(page)  # files are read once for all sections, as a cached property would
    if KEPT not in kept:
        kept[KEPT] = _grouped(page)
    found: list[tuple[list[Row], list[Record]]] = kept[KEPT]
    return found


def _grouped(page: Page) -> list[tuple[list[Row], list[Record]]]:
    found: list[tuple[list[Row], list[Record]]] = []
    for row in page.rows:
        if records := run_records(page, row):
            known = next((rows for rows, others in found if others == records), None)
            if known is None:
                found.append(([row], records))
            else:
                known.append(row)
    return found


def named_trainings(page: Page) -> list[tuple[str, list[Record]]]:
    """Return each training under the names of the rows that share it."""
    return [
        (shown(", ".join(row["method"] for row in rows), longest=LONGEST), records)
        for rows, records in same_training(page)
    ]


def stages(records: Sequence[Record]) -> list[tuple[str, int]]:
    """Return the stages in order, each with the number of its epochs."""
    return [(str(name), len(list(group))) for name, group in groupby(records, key=lambda record: record.get("stage"))]


def number(record: Record, name: str) -> float | None:
    """Return a finite number of a record; None where it has none."""
    value: Any = record.get(name)
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None


def thinned(things: Sequence[Thing], most: int = 100) -> list[Thing]:
    """Return at most so many of them, evenly, the first and the last among them."""
    last = len(things) - 1
    if last < most:
        return list(things)
    return [things[round(k * last / (most - 1))] for k in range(most)]


def _read(path: Path) -> list[Record]:
    try:
        return json_documents.read_lines(path, WAY_OUT)
    except ValueError:  # a damaged file of one run is not the end of the page
        return []
