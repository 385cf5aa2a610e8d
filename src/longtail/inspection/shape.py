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
from longtail.runs.outputs import group_counts

FEW_TESTS = 10
"""With fewer test examples the 95 % interval of a recall of one half is more than 40 points wide."""


def shape(splits: Splits) -> dict[str, Any]:
    """Return the counts of the parts and what follows from them, with 95 % Wilson intervals of a recall of one half.

    Where candidate sets hide the class sizes, `class_counts` are expected counts, `all_counts` those of the rows whose
    class is known, and what would follow from class sizes (`imbalance_ratio`, `gini`) is None.
    """
    counts, known = _as_numbers(group_counts(splits)), splits.counts_known or splits.clean_counts is not None
    tested = _rows(splits.test.targets, len(counts))
    parts = [part for part in (splits.train, splits.val, splits.test) if part is not None]
    every = _rows(torch.cat([_known_targets(splits), *(part.targets.cpu() for part in parts[1:])]), len(counts))
    members = groups(counts)
    ratio = imbalance_ratio(group_counts(splits))
    low, high = wilson(tested.double() / 2, tested)
    return {
        "rows": sum(map(len, parts)),
        "classes": list(splits.classes),
        "class_counts": counts,
        "val_counts": None if splits.val is None else _as_numbers(splits.val.class_counts),
        "test_counts": _as_numbers(splits.test.class_counts),
        "test_rows_by_class": tested.tolist(),
        "all_counts": every.tolist(),
        "imbalance_ratio": ratio if known and ratio != float("inf") else None,
        "gini": gini(counts) if known else None,
        "groups": {
            "rule": members.rule,
            **{g: [splits.classes[j] for j in getattr(members, g)] for g in ("many", "medium", "few")},
        },
        "interval_width": [None if not n else float(b - a) for n, a, b in zip(tested.tolist(), low, high, strict=True)],
        "interval_width_with_folds": [limit.width for limit in validation_limits(every, 1.0)],
        "singletons": [name for name, n in zip(splits.classes, every.tolist(), strict=True) if n == 1 and known],
        "untested": [name for name, n in zip(splits.classes, tested.tolist(), strict=True) if n == 0],
        "hardly_tested": [name for name, n in zip(splits.classes, tested.tolist(), strict=True) if 0 < n < FEW_TESTS],
        "headline": _headline(splits, counts, f"{ratio:.4g}" if known else None),
    }


def _known_targets(splits: Splits) -> Tensor:
    """Return the classes of the training rows: the true ones where known, else of the rows with one candidate."""
    if splits.truth is not None:
        return splits.truth[: len(splits.train)]
    targets = splits.train.targets.cpu()
    return targets if targets.ndim == 1 else targets.long().argmax(1)[targets.sum(1) == 1]


def _headline(splits: Splits, counts: list[Any], ratio: str | None) -> str:
    """Return one line: rows, classes, their sizes, and the ratio, "unknown" where None."""
    without = "" if splits.unlabeled is None else f" and {len(splits.unlabeled)} without labels"
    rows = f"{shown(splits.name)}: {sum(counts):.12g} training examples{without}, {len(counts)} classes of"
    if ratio is None:
        return f"{rows} unknown sizes ({max(counts):.1f} to {min(counts):.1f} expected), imbalance ratio unknown"
    return f"{rows} {max(counts):.12g} to {min(counts):.12g}, imbalance ratio {ratio}"


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
