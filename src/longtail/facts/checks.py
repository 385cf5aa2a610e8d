"""Checks of values: made once when data enter, or on every call inside `strict()`.

Losses always check shapes and dtypes, which costs nothing; values are checked here, since reading one makes a GPU
wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

from longtail.facts.messages import quoted
from longtail.facts.numbers import number, whole

__all__ = [
    "finite",
    "is_strict",
    "number",
    "sample_weight",
    "some_positive",
    "strict",
    "targets",
    "two_shares",
    "whole",
]

_STRICT: ContextVar[bool] = ContextVar("longtail_strict", default=False)


@contextmanager
def strict() -> Iterator[None]:
    """Inside, every loss call also checks the values of its targets, logits and weights."""
    token = _STRICT.set(True)
    try:
        yield
    finally:
        _STRICT.reset(token)


def is_strict() -> bool:
    """Return whether `strict()` is in force."""
    return _STRICT.get()


def targets(targets: Tensor, num_classes: int, *, ignore_index: int = -100) -> None:
    """Check that targets are class indices in [0, C) or `ignore_index`, or probabilities whose rows sum to 1.

    Shapes: indices (N, d1..dk), probabilities (N, C, d1..dk).

    Raises:
        ValueError: an index outside [0, C); rows that are negative, not finite or do not sum to 1.
    """
    if targets.is_floating_point():
        _probabilities(targets, num_classes)
        return
    targets = targets.long()  # in uint8, -100 would be the label 156
    outside = (targets != ignore_index) & ((targets < 0) | (targets >= num_classes))
    if bool(outside.any()):
        value = int(targets[outside].flatten()[0])
        other = f"pass num_classes={value + 1} where the class exists" if value >= 0 else "name it as ignore_index"
        raise ValueError(f"targets must be in [0, {num_classes}), got {value}; correct the label, or {other}")


def _probabilities(targets: Tensor, num_classes: int) -> None:
    if targets.ndim < 2 or targets.shape[1] != num_classes:
        raise ValueError(
            f"targets as probabilities must have shape (N, {num_classes}, ...), got {tuple(targets.shape)}; "
            "pass integer class indices or one row of C probabilities per example"
        )
    total = targets.detach().double().sum(1)
    if not bool(torch.isfinite(total).all()) or bool((targets < 0).any()):
        raise ValueError("targets as probabilities must be finite and >= 0; normalise the rows")
    worst = float((total - 1).abs().max()) if total.numel() else 0.0
    if worst > 1e-3:
        row = float(total.flatten()[(total - 1).abs().argmax()])
        raise ValueError(
            f"targets as probabilities must sum to 1 in every row, got a sum of {row:g}; multi-hot labels "
            "are not a distribution over classes: normalise the rows or use a multi-label loss"
        )


def finite(values: Tensor, name: str) -> None:
    """Check that every value is finite.

    Raises:
        ValueError: names the first row with NaN or infinity.
    """
    bad = ~torch.isfinite(values)
    if bool(bad.any()):
        row = int(torch.nonzero(bad)[0, 0]) if values.ndim else 0
        raise ValueError(
            f"{name} must be finite, got NaN or infinity in row {row} ({int(bad.sum())} values in all); "
            "drop or impute them first"
        )


def some_positive(name: str, factors: Tensor, counts: Tensor | None) -> None:
    """Check that a class with examples has a factor above 0: of the loss, such as a class weight.

    Args:
        name: of the argument.
        factors: (C,), or one for all classes.
        counts: (C,); None where they are not known.

    Raises:
        ValueError: all are 0, so that nothing would be learnt.
    """
    counted = factors if counts is None else torch.where(counts.cpu() > 0, factors.cpu(), 0.0)
    if not bool((counted > 0).any()):
        of = "" if factors.ndim == 0 else " for some class with examples"
        raise ValueError(
            f"{name} must be > 0{of}, got {factors.tolist()}; with factors of 0 nothing is learnt, leave {name} out"
        )


def sample_weight(weight: Tensor) -> None:
    """Check that sample weights are finite and >= 0."""
    finite(weight, "sample_weight")
    if bool((weight < 0).any()):
        raise ValueError(f"sample_weight must be >= 0, got {float(weight.min())}; drop or correct these rows")


def two_shares(name: str, given: Any, usual: tuple[float, float]) -> tuple[float, float]:
    """Return two ascending shares of the epochs, between 0 and 1.

    Raises:
        ValueError: they are not; `usual` is the way out.
    """
    shares = tuple(given) if isinstance(given, Sequence) else ()
    numbers = all(isinstance(share, int | float) and not isinstance(share, bool) for share in shares)
    if len(shares) != 2 or not numbers or not 0 < shares[0] < shares[1] < 1:
        raise ValueError(
            f"{name} must be two ascending shares of the epochs between 0 and 1, got {quoted(given)}; {usual} is usual"
        )
    return shares
