"""The ledger: published numbers, and ours beside them. Plain data files, read without torch.

`published.csv`: benchmark, method, source, top-1 error in percent on the balanced test set, its standard deviation,
how the epoch was selected ("best-test" is the best epoch on the test set), and a note on the row.
`measured/*.json`: results of `longtail reproduce`, one file per benchmark.
"""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Published:
    """One published number: top-1 error in percent on the balanced test set."""

    benchmark: str
    method: str
    source: str
    error: float
    std: float | None
    select: str
    note: str


@cache
def published() -> tuple[Published, ...]:
    """Return all published numbers of the catalogue's methods."""
    text = files("longtail.facts.ledger").joinpath("published.csv").read_text(encoding="utf-8")
    return tuple(
        Published(
            row["benchmark"], row["method"], row["source"], float(row["error"]),
            float(row["std"]) if row["std"] else None, row["select"], row["note"],
        )
        for row in csv.DictReader(text.splitlines())
    )  # fmt: skip


@cache
def measured() -> tuple[dict[str, Any], ...]:
    """Return the results of `longtail reproduce`: one dict per benchmark, method, recipe and number of epochs."""
    rows: list[dict[str, Any]] = []
    folder = files("longtail.facts.ledger").joinpath("measured")
    if folder.is_dir():
        for file in sorted(folder.iterdir(), key=lambda f: f.name):
            if file.name.endswith(".json"):
                rows += json.loads(file.read_text(encoding="utf-8"))["rows"]
    return tuple(rows)


def known(method: str) -> dict[str, list[dict[str, Any]]]:
    """Return all numbers of one method, by its canonical spec: `published` by others and `measured` by us."""
    return {
        "published": [asdict(row) for row in published() if row.method == method],
        "measured": [row for row in measured() if row["method"] == method],
    }
