"""What contrastive losses share: rows of length 1, their cosines over a temperature, and the checks of their arguments.

Values are never read, shapes always: a step stays capturable.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

from longtail.functional.mixtures import Value, widen


def full_precision(like: Tensor) -> AbstractContextManager[object]:
    """Return a context in which autocast, which the meta device lacks, neither narrows nor refuses to join dtypes."""
    return nullcontext() if like.is_meta else torch.autocast(like.device.type, enabled=False)


def unit(rows: Tensor) -> Tensor:
    """Return rows (N, D) of length 1, float32 or wider; a row of zeros stays."""
    return F.normalize(widen(rows), dim=1)


def similarities(anchors: Tensor, candidates: Tensor, t: Value) -> Tensor:
    """Return the cosines over t, (A, C), of rows of length 1: (A, D) and (C, D), in the dtype of the anchors."""
    return anchors @ candidates.to(anchors.dtype).T / t


def check_temperature(t: Value, name: str = "t") -> None:
    """Check that a temperature is a float > 0 or a 0-dim tensor, whose value is not read."""
    if isinstance(t, Tensor):
        if t.ndim != 0:
            raise ValueError(f"{name} must be a float or a 0-dim tensor, got shape {tuple(t.shape)}; it is one number")
    elif not 0 < t < math.inf:
        raise ValueError(f"{name} must be > 0 and finite, got {t!r}; similarities are divided by it: 0.2 is usual")


def check_pair(first: Tensor, second: Tensor, names: tuple[str, str] = ("first", "second")) -> None:
    """Check that two matrices are rows (N, D) of the same examples, in the same order."""
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(
            f"{names[0]} and {names[1]} must have the same shape (N, D), got {tuple(first.shape)} and "
            f"{tuple(second.shape)}; pass the projections of the two views of the same rows"
        )


def check_width(name: str, rows: Tensor, like: Tensor) -> None:
    """Check that further candidates (M, D) are as wide as the projections."""
    if rows.ndim != 2 or rows.shape[1] != like.shape[1]:
        raise ValueError(
            f"{name} must have shape (M, {like.shape[1]}), as wide as the projections, got {tuple(rows.shape)}; "
            "pass the outputs of the same projector"
        )


def check_ids(name: str, ids: Tensor, rows: Tensor) -> None:
    """Check that there is one integer, a row of the training set or a class, for each of (N, D) projections."""
    if ids.shape != rows.shape[:1] or ids.is_floating_point():
        raise ValueError(
            f"{name} must be integers ({len(rows)},), one for each projection, got {ids.dtype} {tuple(ids.shape)}"
            f"; pass those of the rows of the batch"
        )
