"""Numbers per class that a user passes to a loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from longtail.facts.arrays import as_dict, by_class
from longtail.facts.knobs import Range

PerClass = float | Tensor | Sequence[float] | None


def per_class(name: str, value: Any, size: int | None, rule: Range, *, one_for_all: bool = True) -> Tensor:
    """Return a user's numbers in float64 on the CPU: one per class (C,), or where `one_for_all` a single one.

    Args:
        name: of the argument, for error messages.
        value: a number, a sequence, an array or a tensor.
        size: C, where it is known: a single number is then repeated.
        rule: the range of every number.
        one_for_all: whether a single number is accepted.

    Raises:
        TypeError: not numbers.
        ValueError: another shape, or a number that breaks the rule.
    """
    per = "one number per class" if size is None else f"{size} numbers, one per class"
    want = f"one number or {per}" if one_for_all else per
    try:
        given = value if as_dict(value, name) is None else by_class(value, name)
        numbers = torch.as_tensor(given, dtype=torch.float64).detach().cpu()
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be {want}, got {value!r}; pass a list or a tensor") from None
    if numbers.ndim == 0 and one_for_all:
        numbers = numbers if size is None else numbers.expand(size)
    elif numbers.ndim != 1 or size not in (None, len(numbers)):
        raise ValueError(f"{name} must be {want}, got shape {tuple(numbers.shape)}; order them as class_counts is")
    for number in numbers.reshape(-1).tolist():
        rule.check(name, number)
    return numbers
