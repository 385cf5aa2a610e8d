"""cleanlab's seven rules that name wrong labels, from given labels and out-of-sample probabilities.

cleanlab 2.9, `find_label_issues`. M is the calibrated joint, class by given label, with at least `keep` rows on its
diagonal. Of a label k with more than `keep` rows, `prune_by_class` names the n_k - M_kk rows with the lowest p_k,
`prune_by_noise_rate` for every other class j the M_jk rows with the largest p_j - p_k, `both` what both name. The other
rules need no matrix. They are here to be compared with; `posterior.py` has the rule of `longtail labels`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from longtail.labels import quality
from longtail.labels.confident import Floats, Ints, calibrated, confident_joint

Bools = NDArray[np.bool_]
TIE = 1e-6
"""Added to the probability of the given label before the arg max that may clear a row."""
PRUNING = ("prune_by_noise_rate", "prune_by_class", "both")
LOWEST: dict[str, Callable[[Ints, Floats], Floats]] = {
    "low_self_confidence": quality.self_confidence,
    "low_normalized_margin": quality.normalised_margin,
}
RULES = (*PRUNING, "confident_learning", "predicted_neq_given", *LOWEST)


def wrong_labels(
    labels: Ints, probabilities: Floats, rule: str = "prune_by_noise_rate", *, noise: float = 1.0, keep: int = 1
) -> Bools:
    """Return (N,): the rows whose label is wrong by a rule.

    Args:
        labels: (N,) int64 in [0, C).
        probabilities: (N, C), out of sample.
        rule: one of `RULES`, by the names that cleanlab gives them.
        noise: for rules that prune: the share in [0, 1] of the estimated wrong labels to name (`frac_noise`).
        keep: for rules that prune: rows of each label that are never named (`min_examples_per_class`).

    Raises:
        ValueError: another rule, or a share outside of [0, 1].
    """
    if rule not in RULES:
        raise ValueError(f"rule must be one of {', '.join(RULES)}, got {rule!r}; choose one of these")
    if not 0.0 <= noise <= 1.0:
        raise ValueError(f"noise must be a share in [0, 1], got {noise}; 1 names all that are estimated to be wrong")
    named = np.zeros(len(labels), dtype=bool)
    if rule in LOWEST:
        named[np.argsort(LOWEST[rule](labels, probabilities))[: number_wrong(labels, probabilities)]] = True
        return named
    if rule == "confident_learning":
        named[confident_joint(labels, probabilities).off_diagonal] = True
    elif rule == "predicted_neq_given":
        named = probabilities.argmax(1) != labels
    else:
        joint = _pruned_counts(labels, probabilities, noise, keep)
        rate, low = (_by_noise_rate, _by_class)
        ways = {"prune_by_noise_rate": (rate,), "prune_by_class": (low,), "both": (rate, low)}[rule]
        named = np.logical_and.reduce([way(labels, probabilities, joint, keep) for way in ways])
    return named & ~_predicted(labels, probabilities)


def number_wrong(labels: Ints, probabilities: Floats) -> int:
    """Return the number of wrong labels: rows confident in another class whose arg max is another, too."""
    return int(wrong_labels(labels, probabilities, "confident_learning").sum())


def _pruned_counts(labels: Ints, probabilities: Floats, noise: float, keep: int) -> Ints:
    """Return M: what is missing on a diagonal is taken in equal parts from the column's other entries."""
    joint = calibrated(confident_joint(labels, probabilities).counts, labels).T
    diagonal = np.maximum(np.diagonal(joint), keep)
    others = np.maximum(np.count_nonzero(joint, axis=0) - 1.0, 1.0)
    kept = np.maximum(joint - (diagonal - np.diagonal(joint)) / others, 0.0)
    np.fill_diagonal(kept, diagonal)
    fewer = kept * noise
    np.fill_diagonal(fewer, diagonal)
    np.fill_diagonal(fewer, diagonal + (kept - fewer).sum(0))
    counts: Ints = fewer.astype(np.int64)
    return counts


def _by_noise_rate(labels: Ints, probabilities: Floats, joint: Ints, keep: int) -> Bools:
    named = np.zeros(len(labels), dtype=bool)
    for k, rows in _large_enough(labels, len(joint), keep):
        for j in np.flatnonzero(joint[:, k] > 0):
            if j != k:
                named |= _lowest(rows, probabilities[rows, k] - probabilities[rows, j], int(joint[j, k]), len(labels))
    return named


def _by_class(labels: Ints, probabilities: Floats, joint: Ints, keep: int) -> Bools:
    named = np.zeros(len(labels), dtype=bool)
    for k, rows in _large_enough(labels, len(joint), keep):
        named |= _lowest(rows, probabilities[rows, k], len(rows) - int(joint[k, k]), len(labels))
    return named


def _large_enough(labels: Ints, size: int, keep: int) -> list[tuple[int, Ints]]:
    """Return (label, its rows) of every label with more than `keep` rows."""
    every = [(k, np.flatnonzero(labels == k)) for k in range(size)]
    return [(k, rows) for k, rows in every if len(rows) > keep]


def _lowest(rows: Ints, scores: Floats, number: int, size: int) -> Bools:
    """Return (size,): so many rows with the lowest scores."""
    named = np.zeros(size, dtype=bool)
    named[rows[np.argsort(scores)[: max(number, 0)]]] = True
    return named


def _predicted(labels: Ints, probabilities: Floats) -> Bools:
    """Return (N,): whether the most probable class is the given label."""
    own = probabilities.copy()
    own[np.arange(len(labels)), labels] += TIE
    same: Bools = own.argmax(1) == labels
    return same
