"""Test examples and recall per class: their number, confidence intervals, and whether seeds differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from longtail.data import Splits
from longtail.data.split.folds import Folds
from longtail.facts.intervals import wilson


def tested_rows_by_class(data: Splits | Folds) -> list[int]:
    """Return the number of test rows per class, without their weights."""
    targets = data.pool.known[data.tested] if isinstance(data, Folds) else data.test.targets
    return [int(n) for n in torch.bincount(targets.cpu(), minlength=len(data.classes))]


def recall_intervals(recall: Sequence[float | None], counts: Sequence[float]) -> list[list[float] | None]:
    """Return the 95 % Wilson interval of each class's recall, a mean over seeds that tested the same examples."""
    known = np.array([0.0 if r is None else r for r in recall])
    n = np.asarray(counts, dtype=float)
    low, high = wilson(np.minimum(known * n, n), n)
    ends = zip(recall, low.tolist(), high.tolist(), strict=True)
    return [None if r is None or np.isnan(a) else [a, b] for r, a, b in ends]


def varies_by_seed(scores: Sequence[dict[str, Any]]) -> bool:
    """Whether any score of the runs differs between seeds."""
    return any(one != scores[0] for one in scores)
