"""Rows to choose a decision on: checked, with copies joined, and dealt to folds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.facts.messages import quoted
from longtail.posthoc.decisions.tallies import weighted_counts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LEAST = -1e4
"""Log-probabilities below this count as this: exp(-745) is 0 in float64."""


@dataclass(frozen=True)
class WeightedRows:
    """Rows with weights; equal rows are one row with the sum of their weights, so a weight k is k copies, bit for bit.

    Args:
        log_probs: (N, C) float64, normalised.
        targets: (N,) class indices.
        weight: (N,), > 0.
    """

    log_probs: Floats
    targets: Ints
    weight: Floats

    @property
    def classes(self) -> int:
        """C."""
        return int(self.log_probs.shape[1])

    def of(self, keep: NDArray[Any]) -> WeightedRows:
        """Return some of the rows."""
        return WeightedRows(self.log_probs[keep], self.targets[keep], self.weight[keep])

    def support(self) -> Floats:
        """Return the rows of each class (C,)."""
        return weighted_counts(self.targets, self.weight, self.classes)


def weighted_rows(log_probs: Any, targets: Any, sample_weight: Any, classes: int) -> WeightedRows:
    """Check rows and join those that are equal, in an order that does not depend on theirs.

    Raises:
        ValueError: shapes that do not fit, NaN, a target outside [0, C), weights that are negative or not finite, no
            row with a weight above 0.
    """
    p, y = np.asarray(log_probs, dtype=np.float64), np.asarray(targets)
    if p.ndim != 2 or p.shape[1] != classes or y.shape != p.shape[:1] or y.dtype.kind not in "iu":
        raise ValueError(
            f"targets must be one class index per row of log_probs (N, {classes}), got {y.dtype} of shape {y.shape} "
            f"for log_probs of shape {p.shape}; pass a validation part"
        )
    if np.isnan(p).any() or (p == np.inf).any() or (len(p) and (p.max(1) == -np.inf).any()):
        raise ValueError("log_probs must be log-probabilities, got NaN, inf or a row of -inf only; check the model")
    if (wrong := (y < 0) | (y >= classes)).any():
        raise ValueError(f"targets must be in [0, {classes}), got {y[wrong][0]}; drop what has no label")
    w = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if w.shape != y.shape or not (np.isfinite(w) & (w >= 0)).all():
        raise ValueError(
            f"sample_weight must be one finite number >= 0 per row, ({len(y)},), got shape {w.shape} with values like "
            f"{quoted(w[~(np.isfinite(w) & (w >= 0))][:1].tolist())}; correct the weights"
        )
    keep = w > 0
    if not keep.any():
        raise ValueError("log_probs must have at least one row with a weight above 0, got none; pass a validation part")
    return _joined(normalised(p[keep]), y[keep].astype(np.int64), w[keep])


def normalised(log_probs: Floats) -> Floats:
    """Return log-probabilities that sum to 1, none below `LEAST`."""
    top = log_probs.max(1, keepdims=True)
    total = top + np.log(np.exp(log_probs - top).sum(1, keepdims=True))
    return np.asarray(np.maximum(log_probs - total, LEAST))


def log_odds(log_probs: Floats, positive: int) -> Floats:
    """Return log p_k - log(1 - p_k) (N,) of one class, from the other classes' probabilities."""
    rest = np.delete(log_probs, positive, 1)
    top = rest.max(1)
    return np.asarray(log_probs[:, positive] - top - np.log(np.exp(rest - top[:, None]).sum(1)))


def _joined(p: Floats, y: Ints, w: Floats) -> WeightedRows:
    keys = np.column_stack([y.astype(np.float64), p])
    distinct, inverse = np.unique(keys, axis=0, return_inverse=True)
    weight = weighted_counts(inverse.reshape(-1), w, len(distinct))
    return WeightedRows(np.ascontiguousarray(distinct[:, 1:]), distinct[:, 0].astype(np.int64), weight)


def folds(rows: WeightedRows, number: int, seed: int) -> Ints:
    """Return the fold (N,) of each row: within its class in a random order, always to the fold with the least weight.

    A class with fewer distinct rows than folds is missing from some folds.
    """
    chance = np.random.default_rng([seed, 22])
    fold = np.zeros(len(rows.targets), dtype=np.int64)
    for k in np.unique(rows.targets):
        members = chance.permutation(np.flatnonzero(rows.targets == k))
        first = int(chance.integers(number))
        if len(set(rows.weight[members])) == 1:
            fold[members] = (first + np.arange(len(members))) % number
            continue
        held = np.zeros(number)
        for i in members:
            light = (first + int(np.argmin(np.roll(held, -first)))) % number
            fold[i] = light
            held[light] += rows.weight[i]
    return fold
