"""Which of the user's columns each input of a model is made from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def input_columns(preparation: Any) -> tuple[tuple[str, ...], NDArray[np.int64]] | None:
    """Return the names (P,) of columns and, for each of the D inputs, the place of its column among them.

    A column 0/1 for missing cells belongs to the column whose cells they are, the numbers of a text to the text.
    Features (D,) without a preparation for tables are called by their place, "feature 0". None for images and other
    inputs that have no columns.

    Args:
        preparation: of a model or of splits.
    """
    kind = getattr(preparation, "kind", None)
    if kind == "features" and len(preparation.shape) == 1:
        return tuple(f"feature {d}" for d in range(preparation.shape[0])), np.arange(preparation.shape[0])
    if kind != "table":
        return None
    places = {name: place for place, name in enumerate(dict.fromkeys(preparation.owners))}
    return tuple(places), np.array([places[name] for name in preparation.owners], dtype=np.int64)
