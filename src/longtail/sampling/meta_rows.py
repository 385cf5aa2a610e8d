"""A small balanced set of clean rows, taken out of the training rows: what meta-learnt weights are judged by."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.facts.counts import encode
from longtail.facts.knobs import Range

SEED = 0
"""The rows are fixed by it, as held-out parts are; the seeds of a comparison never move them."""
PER_CLASS = Range(1, integer=True)


def lent(counts: Tensor, per_class: int) -> Tensor:
    """Return how many rows each class gives away, (C,): min(per_class, n_j // 2)."""
    return torch.clamp(counts // 2, max=per_class)


def meta_rows(labels: Any, per_class: int = 10, *, sample_weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the rows of the meta set and those that stay for training, both ascending.

    Of a class with n_j rows, min(per_class, n_j // 2) go to the meta set; a class of one row lends it and keeps it, so
    that it is in both. The choice is random and always the same.

    Args:
        labels: whatever `longtail.class_counts` reads, N rows.
        per_class: k >= 1.
        sample_weight: (N,); rows of weight 0 stay where they are and do not count.

    Raises:
        ValueError: per_class below 1, or a class without a row (of weight > 0): its share of the meta set would be
            empty.
    """
    PER_CLASS.check("per_class", per_class)
    indices, names = encode(labels)
    valid = np.ones(len(indices), dtype=bool) if sample_weight is None else (sample_weight > 0).cpu().numpy()
    counts = torch.from_numpy(np.bincount(indices[valid], minlength=len(names)))
    if bool((counts == 0).any()):
        raise ValueError(
            f"labels must have a row of every class for a meta set, got none of {names[int(counts.argmin())]!r}; "
            "leave out the class or add a row"
        )
    generator = np.random.RandomState(SEED)
    meta, stay = [], np.ones(len(indices), dtype=bool)
    by_class = np.flatnonzero(valid)[np.argsort(indices[valid], kind="stable")]
    each = np.split(by_class, counts.cumsum(0)[:-1].numpy())
    for members, number in zip(each, lent(counts, per_class).tolist(), strict=True):
        rows = generator.permutation(members)[: max(number, 1)]
        meta.append(rows)
        stay[rows] = number == 0
    return torch.from_numpy(np.sort(np.concatenate(meta))), torch.from_numpy(np.flatnonzero(stay))
