"""How far the test examples of each class carry: their number, the intervals of recalls, and whether seeds matter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from longtail.data import Splits
from longtail.data.split.folds import Folds
from longtail.facts.intervals import wilson


def rows_tested(data: Splits | Folds) -> list[int]:
    """Test rows per class, whatever they weigh."""
    targets = data.pool.targets[data.tested] if isinstance(data, Folds) else data.test.targets
    return [int(n) for n in torch.bincount(targets.cpu(), minlength=len(data.classes))]


def recall_intervals(recall: Sequence[float | None], counts: Sequence[float]) -> list[list[float] | None]:
    """The 95 % Wilson interval of each class's recall, a mean over seeds that tested the same examples."""
    known = np.array([0.0 if r is None else r for r in recall])
    n = np.asarray(counts, dtype=float)
    low, high = wilson(np.minimum(known * n, n), n)
    ends = zip(recall, low.tolist(), high.tolist(), strict=True)
    return [None if r is None or np.isnan(a) else [a, b] for r, a, b in ends]


def varies(runs: Sequence[dict[str, Any]]) -> bool:
    """Whether any number of these runs, one for every seed, differs between seeds."""
    return any(run["scores"] != runs[0]["scores"] for run in runs)
