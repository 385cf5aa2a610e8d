"""Whether probabilities are as high as classes are frequent: bins of confidence, of one class, and scores of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from longtail.metrics.calibration import BINS, classwise_ece, ece
from longtail.metrics.proper import brier_losses, log_losses
from longtail.metrics.rates import Floats
from longtail.metrics.rows import Labels

CLASS_BINS = 10


@dataclass(frozen=True)
class Judged:
    """Probabilities (N, C) of the test rows of one run, their classes and weights (N,)."""

    probs: Floats
    targets: Labels
    weight: Floats


def reliability(runs: Sequence[Judged], rare: int) -> dict[str, Any]:
    """Return what is shown of probabilities, over the runs of a row.

    `ece`, `classwise_ece`, `log_loss` and `brier` are means over runs. `bins`: 15 of equal width of the highest
    probability, as `metrics.ece` has them, the rows of all runs together: mean confidence, how often it is right, and
    the share of rows. `rare_bins`: at most 10 of equally many rows by the probability of the class `rare`, for nearly
    all of its rows are in the first of equal width: mean probability, the class's frequency, and the share of rows.
    """
    return {
        "ece": _mean([ece(one.probs, one.targets, sample_weight=one.weight) for one in runs]),
        "classwise_ece": _mean([classwise_ece(one.probs, one.targets, sample_weight=one.weight) for one in runs]),
        "log_loss": _mean([np.average(log_losses(one.probs, one.targets), weights=one.weight) for one in runs]),
        "brier": _mean([np.average(brier_losses(one.probs, one.targets), weights=one.weight) for one in runs]),
        "bins": _confidence_bins(runs),
        "rare_bins": _class_bins(runs, rare),
    }


def _confidence_bins(runs: Sequence[Judged]) -> list[dict[str, float]]:
    confidence = np.concatenate([one.probs.max(axis=1) for one in runs])
    right = np.concatenate([one.probs.argmax(axis=1) == one.targets for one in runs])
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)  # bin b is (b / B, (b + 1) / B]
    return _binned(place, confidence, right, _weights(runs))


def _class_bins(runs: Sequence[Judged], rare: int) -> list[dict[str, float]]:
    p = np.concatenate([one.probs[:, rare] for one in runs])
    hits = np.concatenate([one.targets == rare for one in runs])
    weight = _weights(runs)
    order = np.argsort(p, kind="stable")
    before = np.cumsum(weight[order]) - weight[order] / 2  # the middle of a row decides its bin
    place = np.empty(len(p), dtype=int)
    place[order] = np.minimum((before / weight.sum() * CLASS_BINS).astype(int), CLASS_BINS - 1)
    return _binned(place, p, hits, weight)


def _binned(place: Any, predicted: Floats, hits: Any, weight: Floats) -> list[dict[str, float]]:
    """Return the bins that have rows: weighted means, and the share of the weight."""
    size = np.bincount(place, weight)
    known = np.flatnonzero(size)
    mean, rate = (np.bincount(place, weight * values) for values in (predicted, hits))
    return [
        {"predicted": float(mean[b] / size[b]), "observed": float(rate[b] / size[b]), "share": float(share)}
        for b, share in zip(known.tolist(), (size[known] / size.sum()).tolist(), strict=True)
    ]


def _weights(runs: Sequence[Judged]) -> Floats:
    """Return the weights of all rows, every run with the same sum."""
    return np.concatenate([one.weight / one.weight.sum() for one in runs])


def _mean(values: Sequence[Any]) -> float:
    return float(np.mean(values))
