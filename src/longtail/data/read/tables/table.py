"""Rows of a table before their columns are prepared."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Table:
    """N rows of feature columns: a pandas frame as read, with the rows numbered from 0.

    Args:
        frame: the cells.
        untyped: the same before `with_categories`; None where that changed nothing.
    """

    frame: Any
    untyped: Any = None

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, rows: Tensor) -> Table:
        """The rows of these indices, in their order."""
        index = rows.cpu().numpy()
        frames = (None if f is None else f.iloc[index].reset_index(drop=True) for f in (self.frame, self.untyped))
        return Table(*frames)

    def as_read(self) -> Any:
        """Return the frame as it was before `with_categories`."""
        return self.frame if self.untyped is None else self.untyped

    def with_categories(self, names: Sequence[str]) -> Table:
        """Return the rows as read, with these columns, and no others, read as categories."""
        read = self.as_read()
        return Table(read.astype(dict.fromkeys(names, "category")), read) if names else Table(read)

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
