"""Which of the user's columns each input of a model is made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.data.prepare.columns import USED

MISSING = " is missing"


def input_columns(preparation: Any) -> tuple[tuple[str, ...], NDArray[np.int64]] | None:
    """Return the names (P,) of columns and, for each of the D inputs, the place of its column among them.

    A column 0/1 for missing cells belongs to the column whose cells they are. Features (D,) without a preparation for
    tables are called by their place, "feature 0". None for images and other inputs that have no columns.

    Args:
        preparation: of a model or of splits.
    """
    kind = getattr(preparation, "kind", None)
    if kind == "features" and len(preparation.shape) == 1:
        return tuple(f"feature {d}" for d in range(preparation.shape[0])), np.arange(preparation.shape[0])
    if kind != "table":
        return None
    used = [c.name for c in preparation.columns if c.kind in USED]
    first = [c.name for c in preparation.columns if c.kind in USED and c.kind != "category"]
    places: dict[str, int] = {}
    owners = [
        # further inputs of a column begin with its name; others are their own
        name if d < len(first) or d >= preparation.numeric else _owner(name, used)
        for d, name in enumerate(preparation.names)
    ]
    for owner in owners:
        places.setdefault(owner, len(places))
    return tuple(places), np.array([places[owner] for owner in owners], dtype=np.int64)


def _owner(name: str, used: Sequence[str]) -> str:
    if name.endswith(MISSING) and name.removesuffix(MISSING) in used:
        return name.removesuffix(MISSING)
    return max((one for one in used if name.startswith(one)), key=len, default=name)
