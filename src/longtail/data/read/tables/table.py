"""Rows of a table before their columns are prepared."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Table:
    """N rows of feature columns: a pandas frame as read, with the rows numbered from 0."""

    frame: Any

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, rows: Tensor) -> Table:
        """The rows of these indices, in their order."""
        return Table(self.frame.iloc[rows.cpu().numpy()].reset_index(drop=True))

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
