"""What is known of the labels of rows: one class each, a set of candidates each, or nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

GIVEN, CANDIDATES, NONE = "given", "candidates", "none"


def unlabeled(size: int) -> Tensor:
    """Return the targets of N rows without labels: an empty tensor (N, 0)."""
    return torch.empty(size, 0, dtype=torch.int64)


def label_kind(targets: Tensor, num_classes: int) -> str:
    """Return what targets are: "given", (N,) class indices; "candidates", (N, C) bool; "none", (N, 0).

    Raises:
        ValueError: of another shape.
    """
    if targets.ndim == 1:
        return GIVEN
    if targets.ndim == 2 and targets.shape[1] == 0:
        return NONE
    if targets.dtype == torch.bool and targets.ndim == 2 and targets.shape[1] == num_classes:
        return CANDIDATES
    raise ValueError(
        f"targets must be (N,) class indices, (N, {num_classes}) bool candidate sets or (N, 0) for rows without "
        f"labels, got {targets.dtype} of shape {tuple(targets.shape)}"
    )


def known_classes(targets: Tensor, num_classes: int) -> Tensor:
    """Return (N,) int64, the class of every row of which it is known (one label, or one candidate), -1 of others."""
    kind = label_kind(targets, num_classes)
    if kind == GIVEN:
        return targets
    if kind == NONE:
        return torch.full((len(targets),), -1)
    return torch.where(targets.sum(1) == 1, targets.int().argmax(1), -1)


def check_classes(classes: Sequence[str]) -> None:
    """Raise ValueError where there are fewer than two classes."""
    if len(classes) < 2:
        raise ValueError(f"data must have at least two classes, got only {classes[0]!r}; nothing to tell apart")


def count_classes(targets: Tensor, num_classes: int, sample_weight: Tensor | None) -> Tensor:
    """Return examples per class (C,), a row of weight k counting as k: int64, or float64 where there are weights.

    A candidate set counts as one row, in equal shares to its classes: float64, expected counts, not known ones.

    Raises:
        ValueError: rows without labels.
    """
    kind = label_kind(targets, num_classes)
    if kind == NONE:
        raise ValueError("class_counts must come from rows with labels, got rows without; ask the labelled part")
    if kind == CANDIDATES:
        shares = targets.cpu().double()
        shares = shares / shares.sum(1, keepdim=True).clamp(min=1)
        weighted = shares if sample_weight is None else shares * sample_weight.cpu().double()[:, None]
        return weighted.sum(0).to(targets.device)
    if sample_weight is None:
        return torch.bincount(targets, minlength=num_classes)
    # on the CPU: a GPU adds in another order every time
    sums = torch.bincount(targets.cpu(), weights=sample_weight.cpu().double(), minlength=num_classes)
    return sums.to(targets.device)
