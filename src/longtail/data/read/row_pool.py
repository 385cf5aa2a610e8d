"""Rows of arrays or of a torch data set, with what is known of their labels, as a pool."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from longtail.data.mapped import MappedExamples
from longtail.data.origin import Origin
from longtail.data.pool import Pool, labelled
from longtail.data.prepare.images import FeaturePreparation
from longtail.data.prepare.preparation import Preparation
from longtail.data.read.array_labels import SAME, ArrayLabels, is_same
from longtail.data.rows import Examples


def row_pool(
    name: str,
    rows: Examples | MappedExamples,
    labels: ArrayLabels,
    files: tuple[tuple[str, int], ...],
    unlabeled: Any,
    *,
    parts: np.ndarray | None,
    groups: np.ndarray | None,
    sample_weight: Tensor | None,
    preparation: Preparation,
    facts: dict[str, Any],
    notes: tuple[str, ...] = (),
    separator: str | None = None,
) -> Pool:
    """Return the pool of rows, those without labels apart.

    Args:
        name, preparation, facts, notes: of the pool.
        rows: all rows; further ones without labels come last.
        labels: of all rows.
        files: (source, number of rows) of all rows; the last one is that of further rows without labels.
        unlabeled: None, "same" where some rows have no label, or further rows without labels.
        parts, groups, sample_weight: of all rows but further ones without labels.
        separator: of the names in cells of several candidates.

    Raises:
        ValueError: groups or weights, which further rows do not have.
    """
    targets = labels.targets
    if is_same(unlabeled):
        facts = {**facts, "unlabeled": SAME}
    elif unlabeled is not None:
        if groups is not None or sample_weight is not None:
            raise ValueError(
                "group and sample_weight must be known of rows without labels, too, got other data as unlabeled "
                '(--unlabeled); put all rows together with -1 for missing labels and pass "same"'
            )
        source, count = files[-1]
        parts, facts = None if parts is None else np.append(parts, ["train"] * count), {**facts, "unlabeled": source}
    if targets.ndim == 2:
        facts = {**facts, "candidates": separator or "array"}
    pool = Pool(
        name, rows, targets, labels.classes, parts, groups, sample_weight, preparation, facts, notes,
        origin=Origin(files),
    )  # fmt: skip
    return labelled(pool, labels.missing)


def declared(given: dict[str, Any], size: int) -> dict[str, Any]:
    """Return the parts and groups of rows, given as one entry per row.

    Raises:
        ValueError: another number of entries.
    """
    for option in ("group", "split"):
        if option in given and (shape := np.shape(given[option])) != (size,):
            raise ValueError(f"{option} must have one entry per row, {size}, got shape {shape}; pass an array")
    return {
        "parts": np.asarray(given["split"]).astype(str) if "split" in given else None,
        "groups": group_codes(given["group"]) if "group" in given else None,
    }


def group_codes(values: Any) -> np.ndarray:
    """Return (N,) int64 codes of groups."""
    return np.unique(np.asarray(values), return_inverse=True)[1].ravel().astype(np.int64)


def feature_preparation(inputs: Tensor) -> FeaturePreparation:
    """Return the preparation of rows that are such inputs (N, ...) as they are."""
    return FeaturePreparation(tuple(inputs.shape[1:]), str(inputs.dtype).removeprefix("torch."))
