"""How far class shares that training estimates are from the truth, where that is known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from longtail.data import Splits
from longtail.facts.types import Record


def distances(record: Record, splits: Splits) -> dict[str, float]:
    """Return L2 distances between class shares of the record and the true ones, for the record; training gets none.

    `prior_distance` is that of its `prior` to the shares of the training rows, `totals_distance` that of its `totals`
    to those of the rows without labels. One is left out where the record has no such shares, or the truth is unknown.
    """
    named = {}
    if "prior" in record and splits.clean_counts is not None:
        named["prior_distance"] = _distance(record["prior"], splits.clean_counts)
    if "totals" in record and splits.unlabeled is not None and splits.truth is not None:
        hidden = torch.bincount(splits.truth[len(splits.train) :], minlength=len(splits.classes))
        named["totals_distance"] = _distance([n / sum(record["totals"]) for n in record["totals"]], hidden)
    return named


def _distance(shares: Sequence[float], counts: Tensor) -> float:
    counts = counts.double()
    return math.dist(shares, (counts / counts.sum()).tolist())
