"""Rows of equal content: copies, copies with another label, and copies on both sides of a split.

Equal means equal to the byte: the pixels of an image as decoded (and resized), the numbers of a feature row, the
values of a table row (a missing value equals a missing value). Contents are told apart by their BLAKE2b of 128 bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from longtail.data.mapped import MappedExamples
from longtail.data.rows import Examples
from longtail.data.splits import Part
from longtail.inspection.columns import Column

Ids = NDArray[np.int64]
"""(N,) the number of each row's content; equal content has an equal number."""

CHUNK = 1024
SHOWN = 5
"""Sets of rows that are named."""


class Contents:
    """Numbers contents as they are met; one object makes the numbers of several parts comparable."""

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}
        self._read: dict[int, tuple[object, NDArray[np.int64]]] = {}

    def examples(self, rows: Part, without: Sequence[int] = ()) -> Ids:
        """Of examples in memory or behind a data set; the row of a data set is read once, whoever holds it.

        The columns `without` of features (N, D) are not looked at.
        """
        if isinstance(rows, Examples):
            chunks = (chunk.cpu().numpy() for chunk in rows.chunks(CHUNK))
            return self.arrays(np.delete(c, without, axis=1) if without else c for c in chunks)
        return self._mapped(rows)

    def _mapped(self, rows: MappedExamples) -> Ids:
        behind = np.arange(len(rows)) if rows.rows is None else rows.rows.cpu().numpy()
        # the data set itself is kept beside its numbers, so that its id is not given to another
        _, known = self._read.get(id(rows.dataset), (None, np.empty(0, dtype=np.int64)))
        grown = np.full(max(len(known), int(behind.max(initial=-1)) + 1), -1, dtype=np.int64)
        grown[: len(known)] = known
        new = np.flatnonzero(grown[behind] < 0)
        if len(new):
            grown[behind[new]] = self.arrays(c.cpu().numpy() for c in rows.take(torch.from_numpy(new)).chunks(CHUNK))
        self._read[id(rows.dataset)] = (rows.dataset, grown)
        return grown[behind]

    def columns(self, columns: Sequence[Column]) -> Ids:
        """Of the rows of a table; a column that only names its row is left out."""
        telling = [c.values for c in columns if not c.identifies] or [c.values for c in columns]
        starts = range(0, len(telling[0]), CHUNK)
        return self.arrays(np.stack([v[i : i + CHUNK].astype(np.float64) for v in telling], axis=1) for i in starts)

    def arrays(self, chunks: Iterable[NDArray[Any]]) -> Ids:
        """Of arrays (n, ...) one after another."""
        found: list[int] = []
        for chunk in chunks:
            if chunk.dtype.kind == "f":
                # -0.0 equals 0.0, and one missing value another
                chunk = np.where(np.isnan(chunk), np.nan, chunk + 0).astype(chunk.dtype)
            flat = np.ascontiguousarray(chunk).reshape(len(chunk), -1)
            size, data = flat.shape[1] * flat.itemsize, flat.tobytes()
            for i in range(len(flat)):
                digest = hashlib.blake2b(data[i * size : (i + 1) * size], digest_size=16).digest()
                found.append(self._known.setdefault(digest, len(self._known)))
        return np.array(found, dtype=np.int64)


def duplicates(ids: Ids, names: Sequence[str]) -> dict[str, Any]:
    """Copies: `rows` beyond the first of their content, in `sets` of equal rows; the size of the largest set."""
    sizes = np.bincount(ids)
    several = np.flatnonzero(sizes > 1)
    return {
        "rows": int((sizes[several] - 1).sum()),
        "sets": len(several),
        "largest": int(sizes.max(initial=0)) if len(several) else 0,
        "examples": [_named(rows, names) for rows in _members(ids, several[:SHOWN])],
    }


def conflicts(ids: Ids, targets: Ids, classes: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """Equal content under different labels: `rows` and `sets` of it, and the `errors` that no classifier can avoid.

    Whoever sees only the content is right at best on the most frequent label of each.
    """
    pairs, sizes = np.unique(ids * len(classes) + targets, return_counts=True)
    content = pairs // len(classes)
    several = np.flatnonzero(np.bincount(content) > 1)
    best = np.zeros(int(ids.max(initial=-1)) + 1, dtype=np.int64)
    np.maximum.at(best, content, sizes)
    shown = [
        {"rows": _named(rows, names), "classes": [classes[j] for j in np.unique(targets[rows])[:SHOWN]]}
        for rows in _members(ids, several[:SHOWN])
    ]
    return {
        "rows": int(np.isin(ids, several).sum()),
        "sets": len(several),
        "errors": int(len(ids) - best.sum()),
        "examples": shown,
    }


def leaks(ids: Ids, parts: NDArray[Any], declared: bool, names: Sequence[str] | None) -> dict[str, Any]:
    """Rows of the validation and the test part whose content also stands in the training part."""
    trained = parts == "train"
    inside = np.isin(ids, ids[trained])
    found = {part: np.flatnonzero(inside & (parts == part)) for part in ("val", "test")}
    leaked = np.concatenate([found["test"], found["val"]])
    return {
        "rows": len(leaked),
        "test": len(found["test"]),
        "val": len(found["val"]),
        "test_rows": int((parts == "test").sum()),
        "declared": declared,
        "examples": [
            [names[int(np.flatnonzero(trained & (ids == ids[row]))[0])], names[int(row)]] for row in leaked[:SHOWN]
        ]
        if names is not None
        else [],
    }


def group_leaks(groups: Ids | None, parts: NDArray[Any] | None, names: Sequence[str]) -> dict[str, Any]:
    """Groups with rows in two declared parts; by example one row of each part."""
    if groups is None or parts is None:
        return {"groups": 0, "examples": []}
    codes, inverse = np.unique(groups, return_inverse=True)
    kinds, where = np.unique(parts.astype(str), return_inverse=True)
    held = np.unique(inverse.ravel() * len(kinds) + where.ravel()) // len(kinds)
    astride = np.flatnonzero(np.bincount(held, minlength=len(codes)) > 1)
    examples = []
    for code in astride[:SHOWN]:
        rows = np.flatnonzero(inverse.ravel() == code)
        first = np.unique(parts[rows].astype(str), return_index=True)[1]
        examples.append([names[int(rows[i])] for i in np.sort(first)])
    return {"groups": len(astride), "examples": examples}


def _members(ids: Ids, contents: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [np.flatnonzero(ids == content) for content in contents]


def _named(rows: NDArray[np.int64], names: Sequence[str]) -> list[str]:
    return [names[int(i)] for i in rows[:SHOWN]]
