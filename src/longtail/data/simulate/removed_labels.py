"""Divide training rows into rows that keep their labels and rows that lose them, with class counts of each."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from longtail.facts import profiles

REVERSED = "reversed"
LABELED, UNLABELED = 1, 2
"""Seeds of the two draws."""
Counts = np.ndarray


class Cut(NamedTuple):
    """The profile that the training rows were cut to: an imbalance ratio, None without a cut, and "exp" or "step"."""

    ratio: float | None = None
    profile: str = "exp"


def labelled_rows(labels: np.ndarray, share: float, cut: Cut, num_classes: int) -> np.ndarray:
    """Return (N,) bool, the rows that keep their labels; a smaller share selects a subset of a larger one's rows.

    Of class j with n_j rows, ceil(s n_j) where `share` is a float s < 1. Where it is an integer L: the counts of the
    profile with L in its largest class, or without a cut trunc(L n_j / max_k n_k); at least one.

    Raises:
        ValueError: L is larger than the largest class.
    """
    sizes = np.bincount(labels, minlength=num_classes)
    if isinstance(share, float):
        return _drawn(labels, np.ceil(share * sizes - 1e-9).astype(np.int64), LABELED)  # 0.07 * 100 is above 7
    if share > sizes.max():
        raise ValueError(
            f"labeled (--labeled) must be at most {sizes.max()}, the training rows of the largest class, got {share}; "
            "take fewer, or a share such as 0.1"
        )
    wanted = share * sizes // sizes.max() if cut.ratio is None else _profile(cut.profile, share, num_classes, cut.ratio)
    return _drawn(labels, np.minimum(np.maximum(wanted, 1), sizes), LABELED)


def unlabelled_rows(
    spare: np.ndarray,
    all_sizes: Counts,
    classes: Sequence[str],
    size: int | None,
    ratio: float | str | None,
    cut: Cut,
) -> np.ndarray:
    """Return (N,) bool, the rows to take without their labels.

    Args:
        spare: (N,) clean labels of the training rows that are not labelled ones, from before the cut.
        all_sizes: (C,) training rows of every class before the cut.
        classes: the C class names.
        size: rows of the largest class; None takes as many as the profile allows.
        ratio: of the profile; "reversed" for the cut's own, smallest class first; None for the cut's own, or for
            `all_sizes` where there was none.
        cut: of the labelled rows.

    Raises:
        ValueError: a class has too few rows, or "reversed" without a cut.
    """
    if ratio == REVERSED and cut.ratio is None:
        raise ValueError(
            'unlabeled_ratio "reversed" (--unlabeled-ratio) needs ratio (--ratio), which it reverses; pass both'
        )
    available = np.bincount(spare, minlength=len(classes))
    counts = _unlabelled_counts(all_sizes, ratio, cut)
    if size is None:
        size = bisect_left(range(1, int(available.max()) + 1), True, key=lambda m: bool((counts(m) > available).any()))
    short = np.flatnonzero(counts(max(size, 1)) > available)
    if len(short):
        j = int(short[0])
        raise ValueError(
            f"unlabeled_size (--unlabeled-size) must fit the rows, got {max(size, 1)}, which needs "
            f"{counts(max(size, 1))[j]} of class {classes[j]!r} where {available[j]} are left for training; lower it "
            "or labeled (--labeled), or choose another unlabeled_ratio (--unlabeled-ratio)"
        )
    return _drawn(spare, counts(size), UNLABELED)


def _unlabelled_counts(all_sizes: Counts, ratio: float | str | None, cut: Cut) -> Callable[[int], Counts]:
    """Return rows of the largest class -> (C,) rows of every class."""
    used = cut.ratio if ratio is None or ratio == REVERSED else float(ratio)
    if used is None:
        return lambda size: size * all_sizes // all_sizes.max()
    order = slice(None, None, -1) if ratio == REVERSED else slice(None)
    return lambda size: _profile(cut.profile, size, len(all_sizes), used)[order]


def _profile(kind: str, largest: int, num_classes: int, ratio: float) -> Counts:
    return profiles.profile(kind, largest, num_classes, ratio).numpy()


def _drawn(labels: np.ndarray, counts: Counts, seed: int) -> np.ndarray:
    """Return (N,) bool: of class j the first n_j of its rows in an order shuffled by the seed."""
    generator, chosen = np.random.RandomState(seed), np.zeros(len(labels), dtype=bool)
    for j, n in enumerate(counts.tolist()):
        rows = np.flatnonzero(labels == j)
        generator.shuffle(rows)
        chosen[rows[:n]] = True
    return chosen


class Divided(NamedTuple):
    """Row numbers of the training rows with and without labels."""

    labeled: Tensor
    unlabeled: Tensor


def divide(
    targets: Tensor,
    classes: Sequence[str],
    rows: Tensor,
    before: Tensor,
    cut: Cut,
    *,
    labeled: float | None,
    size: int | None,
    ratio: float | str | None,
) -> Divided:
    """Return the training rows that keep their labels, in the order of `rows`, and those without, disjoint from them.

    Without `size` and `ratio`, all other rows of `rows` are the ones without labels; else these are drawn from the
    rows of `before` that keep no label, ascending.

    Args:
        targets: (N,) clean labels of all rows.
        classes: the C class names.
        rows: the training rows; `before`: those before the cut to a profile, `rows` among them.
        cut: the profile.
        labeled: see `labelled_rows`; None keeps all labels of `rows`.
        size, ratio: see `unlabelled_rows`.

    Raises:
        ValueError: more rows than a class has, or none without a label.
    """
    labels = targets.cpu().numpy()
    chosen = torch.ones(len(rows), dtype=torch.bool)
    if labeled is not None:
        chosen = torch.from_numpy(labelled_rows(labels[rows], labeled, cut, len(classes)))
    if size is None and ratio is None:
        rest = rows[~chosen]
    else:
        spare = before[~torch.isin(before, rows[chosen])].sort().values
        sizes = np.bincount(labels[before], minlength=len(classes))
        rest = spare[torch.from_numpy(unlabelled_rows(labels[spare], sizes, classes, size, ratio, cut))]
    if not len(rest):
        raise ValueError(
            f"labeled (--labeled) must leave training rows without a label, got {labeled} of {len(rows)} rows; take "
            "less, or draw others with unlabeled_size (--unlabeled-size)"
        )
    return Divided(rows[chosen], rest)
