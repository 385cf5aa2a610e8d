"""The ledger: published numbers, and ours beside them. Plain data files, read without torch.

`published.csv`: one number a row, with its method, its source, the key of its protocol and what the row changes in it.
`protocols.csv`: one protocol a row: network, augmentation, length, selection of the epoch, subset; see `Protocol`.
`measured/*.json`: results of `longtail reproduce`, one file per benchmark.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from typing import Any

from longtail.facts.ledger.protocol import NOT_SAID, Protocol, mark, reasons
from longtail.facts.ledger.reading import (
    AMBIGUOUS,
    DATA,
    FEW_LABELS,
    KINDS,
    NAMES,
    NOISY,
    RATIOS,
    Published,
    read_protocols,
    read_published,
)

__all__ = [
    "AMBIGUOUS", "DATA", "FEW_LABELS", "KINDS", "NAMES", "NOISY", "NOT_SAID", "RATIOS", "Protocol", "Published",
    "beside", "known", "mark", "measured", "protocols", "published", "reasons",
]  # fmt: skip


@cache
def protocols() -> dict[str, Protocol]:
    """Return the protocols of the published numbers, by key."""
    return read_protocols(_text("protocols.csv"))


@cache
def published() -> tuple[Published, ...]:
    """Return all published numbers, also those of methods that the catalogue does not have."""
    return read_published(_text("published.csv"), protocols())


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


def beside(row: Published, ours: Protocol) -> dict[str, Any]:
    """Return a published number as JSON, with the reasons why it is not comparable with a number of ours."""
    return {**asdict(row), "select": row.protocol.select or NOT_SAID, "not_comparable": row.not_comparable(ours)}


def known(method: str, ours: Callable[[str], Protocol]) -> dict[str, list[dict[str, Any]]]:
    """Return all numbers of one method, by its canonical spec: `published` by others and `measured` by us.

    Args:
        method: the spec.
        ours: benchmark -> the protocol of `longtail reproduce` for it.
    """
    return {
        "published": [beside(row, ours(row.benchmark)) for row in published() if row.method == method],
        "measured": [row for row in measured() if row["method"] == method],
    }


def _text(name: str) -> str:
    return files("longtail.facts.ledger").joinpath(name).read_text(encoding="utf-8")
