"""Rows of a table before their columns are prepared."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Declared:
    """What a user says of a table: cells that mean missing, columns that are text, columns that are categories."""

    missing: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Table:
    """N rows of feature columns: a pandas frame as read, with the rows numbered from 0.

    Args:
        frame: the cells.
        untyped: the same before `with_types`; None where that changed nothing.
        declared: what the user says of it; the frame has empty cells in place of those that mean missing.
        text: the columns of text; None where a preparation infers them from its own rows.
    """

    frame: Any
    untyped: Any = None
    declared: Declared = Declared()
    text: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, rows: Tensor) -> Table:
        """The rows of these indices, in their order."""
        index = rows.cpu().numpy()
        frame, untyped = (
            None if f is None else f.iloc[index].reset_index(drop=True) for f in (self.frame, self.untyped)
        )
        return replace(self, frame=frame, untyped=untyped)

    def as_read(self) -> Any:
        """Return the frame as it was before `with_types`."""
        return self.frame if self.untyped is None else self.untyped

    def with_types(self, categories: Sequence[str], text: Sequence[str]) -> Table:
        """Return the rows as read, with these columns, and no others, read as categories and as text."""
        read = self.as_read()
        frame = read.astype(dict.fromkeys(categories, "category")) if categories else read
        return replace(self, frame=frame, untyped=read if categories else None, text=tuple(text))

    def update_hash(self, digest: hashlib._Hash) -> None:
        """Feed names, types and every cell into a running hash."""
        for name in self.frame.columns:
            values = self.frame[name]
            digest.update(f"{name}\0{values.dtype}\0{len(values)}\0".encode("utf-8", "surrogatepass"))
            if isinstance(values.dtype, np.dtype) and values.dtype.kind in "biufM":
                digest.update(np.ascontiguousarray(values.to_numpy()).tobytes())
                continue
            cells = values.astype(object).where(values.notna(), None).tolist()
            texts = [repr(cell) if cell is None or not isinstance(cell, str) else cell for cell in cells]
            kinds = bytes(isinstance(cell, str) for cell in cells)
            digest.update(kinds + np.fromiter(map(len, texts), np.int64, len(texts)).tobytes())
            digest.update("".join(texts).encode("utf-8", "surrogatepass"))
