"""What a pipeline does before its classifier, and which input each of the classifier's columns comes from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def transformed(estimator: Any, x: Any) -> Any:
    """Return rows (N, D) as the last step of a fitted pipeline gets them, perhaps sparse.

    Steps that resample are for fitting alone.
    """
    for step in _transformers(estimator):
        x = step.transform(x)
    return x


def sources(estimator: Any, width: int) -> Ints | None:
    """Return for each column of `transformed` the one input column that it is made from.

    None where that is not known, as of a kernel, whose columns are made from all inputs.
    """
    found: Ints | None = np.arange(width)
    for step in _transformers(estimator):
        made = None if found is None else _of_step(step, len(found))
        found = None if found is None or made is None else found[made]
    return found


def _transformers(estimator: Any) -> list[Any]:
    """Return the steps before the last that change rows when predicting."""
    steps = [step for _, step in estimator.steps[:-1]] if hasattr(estimator, "steps") else []
    return [step for step in steps if step not in (None, "passthrough") and not hasattr(step, "fit_resample")]


def _of_step(step: Any, width: int) -> Ints | None:
    kind = type(step).__name__
    if kind == "StandardScaler":
        return np.arange(width)
    if kind == "OneHotEncoder" and step.drop is None and step.min_frequency is None and step.max_categories is None:
        return np.repeat(np.arange(width), [len(known) for known in step.categories_])
    return _of_columns(step, width) if kind == "ColumnTransformer" else None


def _of_columns(step: Any, width: int) -> Ints | None:
    parts: list[Ints] = [np.empty(0, dtype=np.int64)]
    for _, part, columns in step.transformers_:
        if isinstance(part, str) and part == "drop":
            continue
        chosen = np.arange(width)[columns]
        # a column that is passed through is a FunctionTransformer without a function
        passed = isinstance(part, str) or (type(part).__name__ == "FunctionTransformer" and part.func is None)
        made = np.arange(len(chosen)) if passed else _of_step(part, len(chosen))
        if made is None:
            return None
        parts.append(chosen[made])
    return np.concatenate(parts)
