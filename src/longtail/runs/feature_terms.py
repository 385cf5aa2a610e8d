"""What tables show of the features of a self-supervised run, from the terms in its predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.facts.groups import groups

PREFIX = "features."
"""Of the names of the terms (M,) in predictions.safetensors."""
GROUPS = ("many", "medium", "few")


def feature_measures(arrays: Mapping[str, Tensor], class_counts: Any) -> dict[str, Any]:
    """Return alignment, uniformity, spread of each group and of each class (`spread`); {} where there are no terms.

    alignment: mean of the terms; uniformity: log of their mean; spread of a class: mean over its rows, None for fewer
    than 2 tested ones; of a group: mean over its classes that have one.
    """
    if PREFIX + "alignment" not in arrays:
        return {}
    alignment, uniformity, spread = (arrays[PREFIX + name] for name in ("alignment", "uniformity", "spread"))
    targets, members = arrays["targets"], groups(class_counts)
    sizes = torch.bincount(targets, minlength=len(class_counts)).tolist()
    by_class = [float(spread[targets == j].mean()) if size > 1 else None for j, size in enumerate(sizes)]
    result: dict[str, Any] = {"alignment": float(alignment.mean()), "uniformity": _log_mean(uniformity)}
    for group in GROUPS:
        known = [value for j in getattr(members, group) if (value := by_class[j]) is not None]
        result[f"spread_{group}"] = float(np.mean(known)) if known else None
    return {**result, "spread": by_class}


def _log_mean(values: Tensor) -> float | None:
    mean = float(values.mean())
    return math.log(mean) if mean > 0 else None
