"""Rows of equal content: duplicates, duplicates with another label, and leakage across a split.

Equal means equal to the byte: the pixels of an image as decoded (and resized), the numbers of a feature row, the
values of a table row (a missing value equals a missing value). Contents are compared by their 128-bit BLAKE2b.
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
"""(N,) one number per row; rows of equal content have the same number."""

CHUNK = 1024
SHOWN = 5
"""Number of examples that are named."""


class Contents:
    """Numbers each new content; use one object for several parts, so that their numbers can be compared."""

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}
        self._read: dict[int, tuple[object, NDArray[np.int64]]] = {}

    def examples(self, rows: Part, without: Sequence[int] = ()) -> Ids:
        """Number examples in memory or of a map-style data set, each row of which is read once.

        The columns `without` of features (N, D) are ignored.
        """
        if isinstance(rows, Examples):
            chunks = (chunk.cpu().numpy() for chunk in rows.chunks(CHUNK))
            return self.arrays(np.delete(c, without, axis=1) if without else c for c in chunks)
        return self._mapped(rows)

    def _mapped(self, rows: MappedExamples) -> Ids:
        index = np.arange(len(rows)) if rows.rows is None else rows.rows.cpu().numpy()
        # keep a reference to the data set, so that its id is not reused
        _, known = self._read.get(id(rows.dataset), (None, np.empty(0, dtype=np.int64)))
        ids = np.full(max(len(known), int(index.max(initial=-1)) + 1), -1, dtype=np.int64)
        ids[: len(known)] = known
        new = np.flatnonzero(ids[index] < 0)
        if len(new):
            ids[index[new]] = self.arrays(c.cpu().numpy() for c in rows.take(torch.from_numpy(new)).chunks(CHUNK))
        self._read[id(rows.dataset)] = (rows.dataset, ids)
        return ids[index]

    def columns(self, columns: Sequence[Column]) -> Ids:
        """Number the rows of a table, without the columns that identify the row."""
        compared = [c.values for c in columns if not c.identifies] or [c.values for c in columns]
        starts = range(0, len(compared[0]), CHUNK)
        return self.arrays(np.stack([v[i : i + CHUNK].astype(np.float64) for v in compared], axis=1) for i in starts)

    def arrays(self, chunks: Iterable[NDArray[Any]]) -> Ids:
        """Number the rows of arrays (n, ...), one array after another."""
        ids: list[int] = []
        for chunk in chunks:
            if chunk.dtype.kind == "f":
                # -0.0 equals 0.0, and one missing value another
                chunk = np.where(np.isnan(chunk), np.nan, chunk + 0).astype(chunk.dtype)
            flat = np.ascontiguousarray(chunk).reshape(len(chunk), -1)
            size, data = flat.shape[1] * flat.itemsize, flat.tobytes()
            for i in range(len(flat)):
                digest = hashlib.blake2b(data[i * size : (i + 1) * size], digest_size=16).digest()
                ids.append(self._known.setdefault(digest, len(self._known)))
        return np.array(ids, dtype=np.int64)


def duplicates(ids: Ids, names: Sequence[str]) -> dict[str, Any]:
    """Count duplicates: `rows` beyond the first of their content, `sets` of equal rows, and the `largest` set."""
    sizes = np.bincount(ids)
    several = np.flatnonzero(sizes > 1)
    return {
        "rows": int((sizes[several] - 1).sum()),
        "sets": len(several),
        "largest": int(sizes.max(initial=0)) if len(several) else 0,
        "examples": [_named(rows, names) for rows in _members(ids, several[:SHOWN])],
    }


def conflicts(ids: Ids, targets: Ids, classes: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """Count equal content under different labels: `rows`, `sets`, and the `errors` that no classifier can avoid.

    At best a classifier predicts the most frequent label of each content.
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
    """Count validation and test rows whose content is in the training part, too."""
    trained = parts == "train"
    inside = np.isin(ids, ids[trained])
    test, val = (np.flatnonzero(inside & (parts == part)) for part in ("test", "val"))
    leaked = np.concatenate([test, val])
    return {
        "rows": len(leaked),
        "test": len(test),
        "val": len(val),
        "test_rows": int((parts == "test").sum()),
        "declared": declared,
        "examples": [
            [names[int(np.flatnonzero(trained & (ids == ids[row]))[0])], names[int(row)]] for row in leaked[:SHOWN]
        ]
        if names is not None
        else [],
    }


def group_leaks(groups: Ids | None, parts: NDArray[Any] | None, names: Sequence[str]) -> dict[str, Any]:
    """Count groups with rows in two declared parts; an example is one row of each part."""
    if groups is None or parts is None:
        return {"groups": 0, "examples": []}
    codes, inverse = np.unique(groups, return_inverse=True)
    kinds, where = np.unique(parts.astype(str), return_inverse=True)
    group_of_pair = np.unique(inverse.ravel() * len(kinds) + where.ravel()) // len(kinds)
    leaking = np.flatnonzero(np.bincount(group_of_pair, minlength=len(codes)) > 1)
    examples = []
    for code in leaking[:SHOWN]:
        rows = np.flatnonzero(inverse.ravel() == code)
        first = np.unique(parts[rows].astype(str), return_index=True)[1]
        examples.append([names[int(rows[i])] for i in np.sort(first)])
    return {"groups": len(leaking), "examples": examples}


def _members(ids: Ids, contents: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [np.flatnonzero(ids == content) for content in contents]


def _named(rows: NDArray[np.int64], names: Sequence[str]) -> list[str]:
    return [names[int(i)] for i in rows[:SHOWN]]
