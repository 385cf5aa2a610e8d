"""Long-tailed and step profiles of class counts, and subsets of a balanced data set with such counts.

The field's convention (Cui et al. 2019; Cao et al. 2019): class 0 is the largest, the order of classes is
that of the labels, counts are truncated, not rounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.facts import checks
from longtail.facts.arrays import by_class
from longtail.facts.counts import encode
from longtail.facts.identifiers import MOST_CLASSES
from longtail.facts.messages import quoted

PROFILES = ("exp", "step")


def profile(kind: str, n_max: int, num_classes: int, ratio: float) -> Tensor:
    """Return class counts (C,) int64 of a profile: "exp" (long-tailed) or "step"."""
    if kind == "exp":
        return long_tail(n_max, num_classes, ratio)
    if kind == "step":
        return step(n_max, num_classes, ratio)
    raise ValueError(f'profile must be one of {", ".join(PROFILES)}, got {quoted(kind)}; try "exp"')


def long_tail(n_max: int, num_classes: int, ratio: float) -> Tensor:
    """n_j = trunc(n_max ratio^(-j / (C - 1))), (C,) int64; the imbalance ratio is n_max / n_min >= 1."""
    _checked(n_max, num_classes, ratio)
    last = max(num_classes - 1, 1)
    return torch.tensor([_trunc(n_max * (1 / ratio) ** (j / last)) for j in range(num_classes)])


def step(n_max: int, num_classes: int, ratio: float) -> Tensor:
    """The first C // 2 classes have n_max examples, the others trunc(n_max / ratio); (C,) int64."""
    _checked(n_max, num_classes, ratio)
    head = num_classes // 2
    return torch.tensor([n_max] * head + [_trunc(n_max / ratio)] * (num_classes - head))


def _trunc(value: float) -> int:
    # 49 * (1 / 49) is just below 1 in floating point, but the count is 1
    return math.floor(value * (1 + 1e-12))


def _checked(n_max: int, num_classes: int, ratio: float) -> None:
    checks.number("ratio", ratio, "it is n_max / n_min", low=1)
    checks.whole("num_classes", num_classes, "a profile needs a head and a tail", low=2, high=MOST_CLASSES)
    checks.whole("n_max", n_max, "it is the size of the largest class", low=1)


def subset(labels: Any, counts: Any, seed: int = 0, classes: Sequence[str] | None = None) -> np.ndarray:
    """Return the row indices of a subset with the given class counts, drawn as in the original code.

    A legacy NumPy generator with `seed` shuffles the row indices of each class, in ascending order of the classes; the
    first n_j are selected. The result is sorted by class, in shuffled order inside a class.

    Raises:
        ValueError: a class has fewer rows than its count, or its count is 0.
    """
    indices, names = encode(labels, classes)
    wanted = [int(n) for n in by_class(counts, "counts", names).tolist()]
    if len(wanted) != len(names):
        raise ValueError(
            f"counts must have one entry per class, got {len(wanted)} for {len(names)} classes; "
            "use longtail.profiles.profile(kind, n_max, num_classes, ratio)"
        )
    generator = np.random.RandomState(seed)
    chosen = []
    for j, n in enumerate(wanted):
        rows = np.flatnonzero(indices == j)
        if n > len(rows):
            raise ValueError(
                f"class {names[j]!r} must have {n} examples but has {len(rows)}; lower n_max or raise ratio"
            )
        if n < 1:
            raise ValueError(
                f"class {names[j]!r} would have no example at this ratio; lower the ratio or raise n_max (--largest)"
            )
        generator.shuffle(rows)
        chosen.append(rows[:n])
    return np.concatenate(chosen)
