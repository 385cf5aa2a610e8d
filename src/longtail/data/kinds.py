"""What is known of the labels of rows: one each, a set of candidates each, or nothing."""

from __future__ import annotations

import torch
from torch import Tensor

GIVEN, CANDIDATES, NONE = "given", "candidates", "none"


def unknown(size: int) -> Tensor:
    """The targets of rows without labels: (N, 0), nothing for each of them."""
    return torch.empty(size, 0, dtype=torch.int64)


def kind(targets: Tensor, size: int) -> str:
    """What targets say: "given", (N,) class indices; "candidates", (N, C) bool; "none", (N, 0).

    Raises:
        ValueError: of another shape.
    """
    if targets.ndim == 1:
        return GIVEN
    if targets.ndim == 2 and targets.shape[1] == 0:
        return NONE
    if targets.dtype == torch.bool and targets.ndim == 2 and targets.shape[1] == size:
        return CANDIDATES
    raise ValueError(
        f"targets must be (N,) class indices, (N, {size}) bool candidate sets or (N, 0) for rows without labels, got "
        f"{targets.dtype} of shape {tuple(targets.shape)}"
    )


def counted(targets: Tensor, size: int, sample_weight: Tensor | None) -> Tensor:
    """Examples per class (C,), a row of weight k counting as k: int64, or float64 where there are weights.

    A candidate set counts as one row, in equal shares to its classes: float64, expected counts, not known ones.

    Raises:
        ValueError: rows without labels.
    """
    known = kind(targets, size)
    if known == NONE:
        raise ValueError("class_counts must come from rows with labels, got rows without; ask the labelled part")
    if known == CANDIDATES:
        shares = targets.cpu().double()
        shares = shares / shares.sum(1, keepdim=True).clamp(min=1)
        weighed = shares if sample_weight is None else shares * sample_weight.cpu().double()[:, None]
        return weighed.sum(0).to(targets.device)
    if sample_weight is None:
        return torch.bincount(targets, minlength=size)
    # on the CPU: a GPU adds in another order every time
    sums = torch.bincount(targets.cpu(), weights=sample_weight.cpu().double(), minlength=size)
    return sums.to(targets.device)
