"""What the decisions cost: the mean of Cost[true, decided] over rows.

cost = sum_i w_i Cost[y_i, d_i] / W
"""

from __future__ import annotations

import numpy as np

from longtail.metrics.rates import Floats
from longtail.metrics.rows import Rows

__all__ = ["costs"]


def costs(rows: Rows) -> Floats:
    """Return the cost of each row's decision, (N,).

    Raises:
        ValueError: no cost was given.
    """
    if rows.cost is None:
        raise ValueError("cost must be given for the metric cost, got None; give Cost[true, decided] of shape (C, C)")
    return np.asarray(rows.cost[rows.targets, rows.decided], dtype=np.float64)
