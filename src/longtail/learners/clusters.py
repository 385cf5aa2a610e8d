"""Clusters of rows by the direction of their features."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.functional.similarity import unit

log = logging.getLogger(__name__)
FITTED = 1_500_000
"""Of more rows, the centres are fitted on so many evenly spaced ones."""
STARTS = 10
"""Initialisations, of which the best is kept."""
SMALLEST = 2
"""Rows of a cluster; one row alone has nothing to be compared with."""


def clustered(features: Tensor, number: int, seed: int) -> Tensor:
    """Return the cluster (N,) int64 of every row: k-means on rows of length 1.

    The cluster of a row is that of the nearest centre. Clusters of fewer than two rows are dissolved, the smallest one
    first, and their rows go to the nearest centre that is left; a log warning says so. Numbers are consecutive.

    Args:
        features: (N, D).
        number: of clusters, at least 1; at most N / 2 are made.
        seed: of the initialisation.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    rows = unit(features.detach()).cpu().numpy()
    few = min(len(rows), FITTED)
    chosen = np.arange(few) * len(rows) // max(few, 1)
    means: Any = KMeans(max(1, min(number, len(rows) // SMALLEST)), n_init=STARTS, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different rows than clusters: said below
        distances = means.fit(rows[chosen]).transform(rows)
    found = _large_enough(torch.from_numpy(distances))
    made = int(found.max()) + 1
    if made < number:
        log.warning("%d clusters were asked for and %d made: others had fewer than %d rows", number, made, SMALLEST)
    return found


def _large_enough(distances: Tensor) -> Tensor:
    """Return the nearest of the centres (N, K) that have enough rows, their numbers consecutive."""
    distances = distances.clone()
    left = list(range(distances.shape[1]))
    while True:
        nearest = distances.argmin(1)
        counts = torch.bincount(nearest, minlength=distances.shape[1])
        smallest = min(left, key=lambda k: int(counts[k]))
        if int(counts[smallest]) >= SMALLEST or len(left) == 1:
            break
        left.remove(smallest)
        distances[:, smallest] = torch.inf
    numbers: Tensor = torch.unique(nearest, return_inverse=True)[1]
    return numbers
