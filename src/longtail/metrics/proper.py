"""Log loss and Brier score: proper scores, which the true probabilities alone minimise on average.

    log loss = sum_i w_i (-log p_i,y) / W        Brier = sum_i w_i sum_j (1[y_i = j] - p_ij)^2 / W

p is kept within [eps, 1 - eps], eps of float64, in the logarithm; with two classes the Brier score is halved (the
square of one class's error). Both as scikit-learn 1.9 has them (`log_loss`; `brier_score_loss`, scale_by_half="auto").
"""

from __future__ import annotations

import numpy as np

from longtail.metrics.rates import Floats
from longtail.metrics.rows import Labels

__all__ = ["brier_losses", "log_losses"]

_EPS = float(np.finfo(np.float64).eps)


def log_losses(probs: Floats, targets: Labels) -> Floats:
    """Return -log p of the true class of each row, (N,)."""
    of_truth = probs[np.arange(len(targets)), targets]
    return np.asarray(-np.log(np.clip(of_truth, _EPS, 1.0 - _EPS)))


def brier_losses(probs: Floats, targets: Labels) -> Floats:
    """Return the squared distance of each row's probabilities from its label, (N,); half of it with two classes."""
    of_truth = probs[np.arange(len(targets)), targets]
    distance = np.einsum("ij,ij->i", probs, probs) - 2.0 * of_truth + 1.0
    distance = np.maximum(distance, 0.0)  # rounding
    return np.asarray(distance / 2.0 if probs.shape[1] == 2 else distance)
