"""Rows that lie apart from the others of their class, by the local outlier factor of their features."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import torch
from torch import Tensor

log = logging.getLogger(__name__)
SMALLEST = 5
"""Rows of a class in which outliers are looked for; of fewer, one or none is the neighbour that a row is judged by."""


def inliers(features: Tensor, targets: Tensor, neighbours: int = 20) -> Tensor:
    """Return which rows stay (N,) bool, on the CPU: all but the outliers of every class.

    An outlier is what scikit-learn's `LocalOutlierFactor` finds among the n_c rows of a class with its own defaults (a
    factor above 1.5, Euclidean distance), with min(neighbours, n_c // 2) neighbours: with n_c - 1, every row is a
    neighbour of every other and none stands out, however far it is. Classes of fewer than five rows, and one of which
    nothing would be left, keep all.

    Cost: up to n_c^2 distances a class.

    Args:
        features: (N, D).
        targets: class indices (N,).
        neighbours: 0 keeps all rows.
    """
    from sklearn.neighbors import LocalOutlierFactor

    labels = targets.cpu()
    stay = torch.ones(len(labels), dtype=torch.bool)
    if neighbours == 0:
        return stay
    rows = features.detach().cpu().double().numpy()
    for c in range(int(labels.max()) + 1 if len(labels) else 0):
        own = torch.nonzero(labels == c).flatten()
        if len(own) < SMALLEST:
            continue
        factor: Any = LocalOutlierFactor(n_neighbors=min(neighbours, len(own) // 2))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # many equal rows: each is as near to its neighbours as can be
            found = torch.from_numpy(factor.fit_predict(rows[own.numpy()]) == 1)
        if bool(found.any()):
            stay[own] = found
    log.info("local outlier factor: %d of %d rows are left out of the class statistics", int((~stay).sum()), len(stay))
    return stay
