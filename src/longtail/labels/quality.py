"""Label quality by row: how well out-of-sample probabilities agree with the given label. Higher is cleaner.

    self-confidence = p_y
    normalised margin = (p_y - max_{j != y} p_j + 1) / 2
    confidence-weighted entropy = ln(x + 1) / x,  x = (H(p) / ln C) / max(p_y, 1e-6)

As in cleanlab 2.9 (`get_label_quality_scores`).
"""

from __future__ import annotations

import numpy as np

from longtail.labels.confident import Floats, Ints, thresholds

SMALLEST = 1e-6


def self_confidence(labels: Ints, probabilities: Floats) -> Floats:
    """Return (N,): the probability of the given label."""
    own: Floats = probabilities[np.arange(len(labels)), labels]
    return own


def normalised_margin(labels: Ints, probabilities: Floats) -> Floats:
    """Return (N,) in [0, 1]: the lead over the most probable other class; below 1/2 that class is more probable."""
    margins: Floats = (self_confidence(labels, probabilities) - largest_other(labels, probabilities) + 1) / 2
    return margins


def largest_other(labels: Ints, values: Floats) -> Floats:
    """Return (N,): the largest of (N, C) values of another class than the label."""
    others = values.copy()
    others[np.arange(len(labels)), labels] = -np.inf
    largest: Floats = others.max(1)
    return largest


def weighted_entropy(labels: Ints, probabilities: Floats) -> Floats:
    """Return (N,): high where the probabilities are sure, and sure of the given label."""
    logs = np.log(np.clip(probabilities, 1e-30, None))
    entropy = -(probabilities * np.where(probabilities > 0, logs, 0.0)).sum(1) / np.log(probabilities.shape[1])
    x = entropy / np.clip(self_confidence(labels, probabilities), SMALLEST, None)
    scores: Floats = np.log(x + 1) / np.clip(x, SMALLEST, None)
    return scores


def adjusted(labels: Ints, probabilities: Floats) -> Floats:
    """Return (N, C): probabilities less each class's threshold, moved to be positive and to sum to 1 again."""
    level = thresholds(labels, probabilities)
    moved = probabilities - level + level.max()
    scaled: Floats = moved / moved.sum(1, keepdims=True)
    return scaled
