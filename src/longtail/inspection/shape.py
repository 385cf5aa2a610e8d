"""The shape of the imbalance: class sizes, ratio, Gini, groups, and how well each class can be measured."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from longtail.data import Splits
from longtail.data.split.limits import validation_limits
from longtail.facts.counts import imbalance_ratio
from longtail.facts.groups import groups
from longtail.metrics import wilson
from longtail.report.printable import shown

FEW_TESTS = 10
"""With fewer test examples the 95 % interval of a recall of one half is more than 40 points wide."""


def shape(splits: Splits) -> dict[str, Any]:
    """Return the counts of the parts and what follows from them, with 95 % Wilson intervals of a recall of one half."""
    counts = _as_numbers(splits.class_counts)
    tested = _rows(splits.test.targets, len(counts))
    parts = [part for part in (splits.train, splits.val, splits.test) if part is not None]
    every = _rows(torch.cat([part.targets.cpu() for part in parts]), len(counts))
    members = groups(counts)
    ratio = imbalance_ratio(splits.class_counts)
    low, high = wilson(tested.double() / 2, tested)
    return {
        "rows": int(every.sum()),
        "classes": list(splits.classes),
        "class_counts": counts,
        "val_counts": None if splits.val is None else _as_numbers(splits.val.class_counts),
        "test_counts": _as_numbers(splits.test.class_counts),
        "test_rows_by_class": tested.tolist(),
        "all_counts": every.tolist(),
        "imbalance_ratio": ratio if ratio != float("inf") else None,
        "gini": gini(counts),
        "groups": {
            "rule": members.rule,
            **{g: [splits.classes[j] for j in getattr(members, g)] for g in ("many", "medium", "few")},
        },
        "interval_width": [None if not n else float(b - a) for n, a, b in zip(tested.tolist(), low, high, strict=True)],
        "interval_width_with_folds": [limit.width for limit in validation_limits(every, 1.0)],
        "singletons": [name for name, n in zip(splits.classes, every.tolist(), strict=True) if n == 1],
        "untested": [name for name, n in zip(splits.classes, tested.tolist(), strict=True) if n == 0],
        "hardly_tested": [name for name, n in zip(splits.classes, tested.tolist(), strict=True) if 0 < n < FEW_TESTS],
        "headline": f"{shown(splits.name)}: {sum(counts):.12g} training examples, {len(counts)} classes of "
        f"{max(counts):.12g} to {min(counts):.12g}, imbalance ratio {ratio:.4g}",
    }


def gini(counts: list[int] | list[float]) -> float:
    """Return the Gini coefficient of the class sizes: 0 when all are equal, 1 - 1/C when one class has all rows."""
    ordered, size = sorted(counts), len(counts)
    weighted = sum((2 * i - size - 1) * n for i, n in enumerate(ordered, start=1))
    return weighted / (size * sum(ordered))


def _rows(targets: Tensor, size: int) -> Tensor:
    return torch.bincount(targets.cpu(), minlength=size)


def _as_numbers(counts: Tensor) -> list[Any]:
    """Return whole counts as integers, other sums of weights as floats."""
    return [int(n) if n == int(n) else float(n) for n in counts.tolist()]
