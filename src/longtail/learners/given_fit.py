"""The fit of a classifier of the user's, whose code prints, warns and draws as it likes."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from longtail.learners.fitted import limited_threads, quiet

log = logging.getLogger(__name__)


def fit_given(
    estimator: Any,
    x: NDArray[np.float64],
    y: NDArray[np.int64],
    weights: dict[str, Any],
    seed: int,
    *,
    told: bool = True,
) -> tuple[Any, NDArray[np.int64] | None]:
    """Fit a classifier of the user's and return it; what it prints is dropped, what it warns of is logged once.

    NumPy's and Python's global generators are seeded for the fit, for a classifier that draws from them. One that
    cannot take labels with gaps, where a class has no rows, is fitted to labels without: these are returned, else None.

    Args:
        estimator: unfitted.
        x, y, weights: rows (N, D), class indices (N,), further arguments of `fit`.
        seed: of the global generators.
        told: False logs nothing.
    """
    from sklearn.base import clone

    labels, compact = np.unique(y, return_inverse=True)
    with limited_threads(torch.get_num_threads()), quiet(seed) as caught:
        try:
            estimator.fit(x, y, **weights)
            found = None
        except ValueError:
            if len(labels) == labels[-1] + 1:
                raise
            estimator, found = clone(estimator).fit(x, compact, **weights), labels
    said = {str(one.message).strip().splitlines()[0]: one for one in caught if str(one.message).strip()}
    for line, warning in said.items() if told else ():
        old = issubclass(warning.category, DeprecationWarning | PendingDeprecationWarning | FutureWarning)
        log.log(logging.DEBUG if old else logging.WARNING, "the fit of %s: %s", type(estimator).__name__, line[:300])
    return estimator, found
