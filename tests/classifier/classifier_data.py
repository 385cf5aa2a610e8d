"""Rows of three classes, 6 : 3 : 1, as arrays and as a frame with columns of every kind and missing cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

NAMES = ("common", "odd", "rare")


def arrays(rows: int = 90, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Features (N, 4) and names of classes."""
    draw = np.random.default_rng(seed)
    y = np.arange(rows) * 7 % 10
    codes = (y >= 6).astype(int) + (y == 9)
    return draw.normal(size=(rows, 4)) + 2.0 * np.eye(3, 4)[codes], np.array(NAMES)[codes]


def frame(rows: int = 90, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """A table: numbers with a missing cell, categories with one, dates, truth values, and the label."""
    x, y = arrays(rows, seed)
    draw = np.random.default_rng(seed + 1)
    days = pd.to_timedelta(draw.integers(0, 900, rows), unit="D")
    table = pd.DataFrame({
        "amount": x[:, 0], "age": np.round(20 + 5 * x[:, 1]), "kind": draw.choice(["car", "home"], rows),
        "since": pd.Timestamp("2020-01-01") + days, "known": x[:, 2] > 1,
    })  # fmt: skip
    table.loc[3, "amount"], table.loc[4, "kind"] = np.nan, None
    return table, pd.Series(y, name="outcome")
