"""Columns of text beside images (metadata.csv, a hub table's further columns) as parts, groups and weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.data.read.images.class_folders import SYNONYMS


def filled(values: Sequence[Any], column: str, names: Sequence[str]) -> list[str]:
    """The values as text, as they are written.

    Raises:
        ValueError: an empty one, named.
    """
    text = ["" if value is None else str(value) for value in values]
    empty = [name for name, value in zip(names, text, strict=True) if not value.strip()]
    if empty:
        raise ValueError(
            f"column {column!r} must be filled for every image, got {len(empty)} empty, first {empty[0]!r}; "
            "fill it in or leave these images out"
        )
    return text


def as_parts(values: Sequence[Any], column: str, names: Sequence[str]) -> np.ndarray:
    """(N,) of "train", "val", "test"."""
    text = filled(values, column, names)
    found = [SYNONYMS.get(value.strip().lower(), "") for value in text]
    if "" in found:
        row = found.index("")
        raise ValueError(
            f"split column {column!r} must say train, val or test, got {text[row]!r} for {names[row]!r}; "
            f"understood are {', '.join(SYNONYMS)}"
        )
    return np.array(found)


def as_groups(values: Sequence[Any], column: str, names: Sequence[str]) -> np.ndarray:
    """(N,) int64: equal text, equal code."""
    return np.unique(np.array(filled(values, column, names)), return_inverse=True)[1].astype(np.int64)


def as_weights(values: Sequence[Any], column: str, names: Sequence[str]) -> Tensor:
    """(N,) float32 >= 0."""
    weights = []
    for value, name in zip(filled(values, column, names), names, strict=True):
        try:
            weight = float(value)
        except ValueError:
            weight = math.nan
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(
                f"weight column {column!r} must hold finite numbers >= 0, got {value!r} for {name!r}; correct it"
            )
        weights.append(weight)
    return torch.tensor(weights, dtype=torch.float32)
