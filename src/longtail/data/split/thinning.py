"""Make training rows long-tailed: the rows of a profile of class counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from longtail.data.splits import DATA_SEED
from longtail.facts import checks, profiles


def check_largest(largest: int | None, ratio: float | None) -> None:
    """Raise ValueError or TypeError where the size of the largest class is no count, or nothing is to be cut."""
    if largest is None:
        return
    checks.whole("largest (--largest)", largest, "the rows of the largest class after the cut", low=1)
    if ratio is None:
        raise ValueError(
            f"largest (--largest) needs ratio (--ratio), the shape of the cut, got {largest} alone; ratio 1 gives "
            "every class so many rows"
        )


def check_fits(counts: Tensor, sizes: Tensor, classes: Sequence[str]) -> None:
    """Raise ValueError where a class has fewer rows than a profile made with `largest` wants."""
    if (short := torch.nonzero(counts > sizes).flatten()).numel():
        j = int(short[0])
        raise ValueError(
            f"largest (--largest) must fit the training rows, got {int(counts.max())}, which needs {int(counts[j])} of "
            f"class {classes[j]!r} where {int(sizes[j])} are; lower it or raise ratio (--ratio)"
        )


def thinned(targets: Tensor, classes: Sequence[str], ratio: float, profile: str, largest: int | None = None) -> Tensor:
    """Return the rows of a long-tailed subset, ascending.

    Args:
        targets: (N,) class indices.
        classes: the C class names.
        ratio, profile: of the counts, "exp" or "step".
        largest: rows of the largest class; None takes as many as the class sizes allow.

    Raises:
        ValueError: a class has fewer rows than `largest` needs, or would have none.
    """
    num_classes = len(classes)
    available = torch.bincount(targets, minlength=num_classes)
    share = float(ratio) ** (torch.arange(num_classes) / max(num_classes - 1, 1)).double()
    if profile == "step":
        share = torch.tensor([1.0 if j < num_classes // 2 else float(ratio) for j in range(num_classes)])
    n_max = int((available.double() * share).min()) if ratio >= 1 else 1
    counts = profiles.profile(profile, max(n_max, 1) if largest is None else int(largest), num_classes, ratio)
    if largest is not None:
        check_fits(counts, available, classes)
    return torch.from_numpy(np.sort(profiles.subset(targets, counts, DATA_SEED)))
