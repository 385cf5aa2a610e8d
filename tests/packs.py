"""How many trainings take each step that is made at once."""

from __future__ import annotations

from typing import Any

import pytest

from longtail.engine.pack import Pack


def counted_packs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows by the number of trainings with every step made at once."""
    counts: list[int] = []
    step = Pack.step

    def counted(self: Pack, dues: Any, enters: Any) -> None:
        counts.append(len(dues))
        step(self, dues, enters)

    monkeypatch.setattr(Pack, "step", counted)
    return counts
