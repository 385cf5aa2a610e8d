"""One of many changes for every row of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Way = Callable[..., Tensor]
"""(inputs (B, ...), values (B, ...) of the rows ...) -> inputs of the same shape and dtype."""


def grouped(inputs: Tensor, chosen: Tensor, ways: Sequence[Way | None], *values: Tensor) -> Tensor:
    """Change every row by its own way, the rows of one way together: their number depends on values.

    Args:
        inputs: (B, ...).
        chosen: (B,) int64, which of the ways; a row with another number, such as -1, stays as it is.
        ways: the changes; None is no change.
        values: (B, ...) each, what the ways need.
    """
    inputs = inputs.clone()
    for number, way in enumerate(ways):
        if way is None:
            continue
        rows = torch.nonzero(chosen == number).flatten()
        if len(rows):
            inputs[rows] = way(inputs[rows], *(value[rows] for value in values))
    return inputs


def selected(inputs: Tensor, chosen: Tensor, ways: Sequence[Way | None], *values: Tensor) -> Tensor:
    """Return the same with every way on all rows, one result a row chosen: nothing depends on values."""
    changed = inputs
    for number, way in enumerate(ways):
        if way is not None:
            mine = (chosen == number).reshape(-1, *(1,) * (inputs.ndim - 1))
            changed = torch.where(mine, way(inputs, *values), changed)
    return changed
