"""Rows as they come: frames as a table is read, arrays of features or images as they are, and new rows like them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data

from longtail.facts.messages import line, quoted

ALWAYS: dict[str, Any] = {"accept_sparse": False, "allow_nd": True, "ensure_all_finite": False}


def is_frame(X: Any) -> bool:
    """Whether rows are a pandas frame, by its attributes, so that pandas need not be installed."""
    return hasattr(X, "columns") and hasattr(X, "iloc")


def training_rows(estimator: Any, X: Any) -> Any:
    """Return a frame as it is, anything else as an array of finite numbers (N, D), (N, H, W) or (N, H, W, 3).

    Number and names of the columns are noted on the estimator, as scikit-learn does.

    Raises:
        ValueError, TypeError: sparse, empty, not numeric or not finite.
    """
    if is_frame(X):
        _check_frame(X)
        validate_data(estimator, X, skip_check_array=True)
        return X
    _check_text(X)
    return _finite(_array(estimator, X, **ALWAYS))


def new_rows(estimator: Any, X: Any, columns: tuple[str, ...] | None) -> Any:
    """Return new rows as the model takes them.

    Args:
        estimator: fitted.
        X: a frame or an array, whichever the training rows were.
        columns: of the frame that the model was fitted on; None for an array.

    Raises:
        ValueError, TypeError: as `training_rows`; other columns than in training, or another number of them.
    """
    if columns is None:
        return _finite(_array(estimator, X, reset=False, **ALWAYS))
    if is_frame(X):
        _check_frame(X)
        validate_data(estimator, X, reset=False, skip_check_array=True)
        return X
    import pandas

    array = _array(estimator, X, reset=False, accept_sparse=False, dtype=None, ensure_all_finite=False)
    return pandas.DataFrame(array, columns=list(columns)).infer_objects()


def _array(estimator: Any, X: Any, **options: Any) -> np.ndarray:
    """Return what scikit-learn makes of X; its errors, which have several lines, in one."""
    if isinstance(X, str | bytes | Path):
        raise TypeError(f"X must be rows in memory, got {quoted(X)}; read the file first, or use lt.fit")
    try:
        return np.asarray(validate_data(estimator, X, **options))
    except (ValueError, TypeError) as error:
        raise (TypeError if isinstance(error, TypeError) else ValueError)(line(str(error))) from None


def _check_frame(X: Any) -> None:
    names = [str(name) for name in X.columns]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"X must have columns of different names, got {quoted(twice)} twice; rename one")
    if 0 in X.shape:
        raise ValueError(f"X must have rows and columns, got a frame of shape {X.shape}; pass at least one row")


def _check_text(X: Any) -> None:
    if getattr(getattr(X, "dtype", None), "kind", "") not in ("O", "U"):
        return
    text = next((value for value in np.asarray(X).ravel().tolist() if isinstance(value, str)), None)
    if text is not None:
        raise ValueError(
            f"X must be numbers where it is an array, got text such as {quoted(text)}; pass a pandas frame, whose "
            "columns of text are categories"
        )


def weights(sample_weight: Any, size: int) -> NDArray[np.float64] | None:
    """Return the weights (N,) of the rows, or None.

    Raises:
        ValueError: another shape, a weight that is negative or not finite, or only zeros.
    """
    if sample_weight is None:
        return None
    values = np.asarray(sample_weight, dtype=np.float64)
    if values.shape != (size,):
        raise ValueError(f"sample_weight must have shape ({size},), got {values.shape}; pass one per row")
    if not (np.isfinite(values) & (values >= 0)).all():
        wrong = values[~(np.isfinite(values) & (values >= 0))][0]
        raise ValueError(f"sample_weight must be finite and >= 0, got {wrong:g}; correct these weights")
    if not values.any():
        raise ValueError("sample_weight must not be zero for every row, got only zeros; leave it out or correct it")
    return values


def _finite(array: np.ndarray) -> np.ndarray:
    wrong = ~np.isfinite(array) if array.dtype.kind == "f" else np.zeros(1, dtype=bool)
    if wrong.any():
        place = [int(index) for index in np.argwhere(wrong)[0]]
        what = "NaN" if np.isnan(array[tuple(place)]) else "inf"
        raise ValueError(
            f"X must be finite, got {what} in row {place[0]}, column {', '.join(map(str, place[1:]))} "
            f"({int(wrong.sum())} such values); impute them first, or pass a pandas frame, whose missing cells are "
            "filled in as those of a table"
        )
    return array if array.flags.writeable else array.copy()  # torch warns of memory that must not be written
