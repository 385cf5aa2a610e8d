"""The Wilson score interval for a proportion.

    (p + z^2/2n  +-  z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n),    p = successes/n, z the normal quantile

Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22; the choice
for small n of Brown, Cai and DasGupta (2001), "Interval Estimation for a Binomial Proportion", equation 4.
No continuity correction.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.facts.arrays import as_array

__all__ = ["wilson"]

Floats = NDArray[np.float64]


def wilson(successes: Any, n: Any, level: float = 0.95) -> tuple[Floats, Floats]:
    """Return lower and upper end of the Wilson interval, elementwise over broadcast ``successes`` and ``n``.

    ``n`` may be a sum of weights, which counts each row of weight k as k examples. Where n = 0 both ends are NaN. The
    lower end without successes is exactly 0, the upper end with successes alone exactly 1.

    Raises:
        ValueError: level outside (0, 1), n negative, or successes outside [0, n].
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie in (0, 1), got {level}; use level=0.95")
    hits, size = np.broadcast_arrays(as_array(successes).astype(np.float64), as_array(n).astype(np.float64))
    if not ((hits >= 0) & (hits <= size * (1 + 1e-12))).all():
        raise ValueError(
            "successes must lie in [0, n], got "
            f"{hits.min() if hits.min() < 0 else hits[hits > size].max()}; pass counts, not rates"
        )
    z2 = NormalDist().inv_cdf(0.5 + level / 2) ** 2
    rate = _divide(hits, size)
    centre = rate + _divide(np.full(size.shape, z2 / 2), size)
    spread = np.sqrt(
        np.maximum(_divide(z2 * rate * (1 - rate), size), 0.0) + _divide(np.full(size.shape, z2 / 2), size) ** 2
    )
    shrink = 1.0 + _divide(np.full(size.shape, z2), size)
    low = np.where(hits == 0, np.where(size > 0, 0.0, np.nan), (centre - spread) / shrink)
    high = np.where((hits >= size) & (size > 0), 1.0, (centre + spread) / shrink)
    return low, high


def _divide(numerator: Floats, n: Floats) -> Floats:
    """Divide; NaN where n is 0."""
    undefined = np.full(np.broadcast_shapes(numerator.shape, n.shape), np.nan)
    return np.asarray(np.divide(numerator, n, out=undefined, where=n != 0))
