"""The fit of a classifier of the user's, whose code prints, warns and draws as it likes."""

from __future__ import annotations

import io
import logging
import re
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from longtail.learners.fitted import limited_threads, quiet

log = logging.getLogger(__name__)
_UNUSED = re.compile(
    r"^\[LightGBM\] \[Warning\] Unknown parameter: (\S+)|Parameters: \{ (.+?) \} are not used", re.MULTILINE
)
_PLACE = re.compile(r"^\[[\d:]+\] (WARNING: )?\S+:\d+:\s*")
"""Time and line of XGBoost's source, which stand before its words."""


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

    Raises:
        ValueError: LightGBM or XGBoost, which take any name, say that they do not use an argument.
    """
    from sklearn.base import clone

    printed = io.StringIO()
    labels, compact = np.unique(y, return_inverse=True)
    with limited_threads(torch.get_num_threads()), quiet(seed, printed) as caught:
        try:
            estimator.fit(x, y, **weights)
            found = None
        except ValueError:
            if len(labels) == labels[-1] + 1:
                raise
            estimator, found = clone(estimator).fit(x, compact, **weights), labels
    texts = [(without_place(str(one.message)), one) for one in caught]
    unused = _UNUSED.search("\n".join([printed.getvalue(), *(text for text, _ in texts)]))
    if unused is not None:
        name = (unused[1] or unused[2]).replace('"', "'").strip("'")
        raise ValueError(f"its argument '{name}' is not used: unknown, or without effect here; leave it out")
    said = {text.splitlines()[0]: one for text, one in texts if text}
    for line, warning in said.items() if told else ():
        old = issubclass(warning.category, DeprecationWarning | PendingDeprecationWarning | FutureWarning)
        log.log(logging.DEBUG if old else logging.WARNING, "the fit of %s: %s", type(estimator).__name__, line[:300])
    return estimator, found


def without_place(text: str) -> str:
    """Return a message without the time and line of source that XGBoost puts first."""
    return _PLACE.sub("", text.strip())
