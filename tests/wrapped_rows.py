"""Training rows behind another object, for tests that change how their batches are drawn."""

from __future__ import annotations

from typing import Any


class WrappedRows:
    """All that the rows have, but for what a subclass does in its own way."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rows, name)

    def __len__(self) -> int:
        return len(self.rows)
