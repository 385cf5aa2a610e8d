"""Convert what users pass (arrays, lists, tensors, columns, dicts) to NumPy arrays; torch is not imported."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

COUNT = "use longtail.class_counts(labels)"


def as_array(values: Any) -> NDArray[Any]:
    """Return ``values`` as a NumPy array, without a copy where possible.

    A torch tensor (recognised by its ``detach`` method) is detached and moved to the CPU; bfloat16, which NumPy
    lacks, becomes float32.
    """
    if hasattr(values, "detach"):
        tensor = values.detach().cpu()
        return np.asarray((tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy())
    return np.asarray(values)


def as_dict(values: Any, name: str = "class_counts") -> dict[Any, Any] | None:
    """Return a dict, a Counter or a pandas Series (by its index) as a dict; None for anything else.

    Raises:
        ValueError: a Series with a duplicate key.
    """
    if isinstance(values, Mapping):
        return dict(values)
    index = getattr(values, "index", None)
    if index is None or callable(index) or hasattr(values, "columns") or not hasattr(values, "to_numpy"):
        return None
    keys = index.tolist()
    # a frame's value_counts() has tuples of one
    keys = [key[0] if isinstance(key, tuple) and len(key) == 1 else key for key in keys]
    entries = dict(zip(keys, values.tolist(), strict=True))
    if len(entries) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"{name} must have one number per class, got {twice!r} twice in its index; {COUNT}")
    return entries


def by_class(values: Any, name: str = "class_counts", classes: Sequence[str] | None = None) -> NDArray[Any]:
    """Return numbers per class, in the order of the classes.

    Lists, arrays and tensors are in that order already. A dict, a Counter or a pandas Series is read by its keys,
    never by position (``value_counts`` is sorted by frequency):

    - whole numbers are class indices: C = max + 1, or the number of ``classes``;
    - text is class names: in the order of ``classes``, of the categories of a categorical index, or else sorted as
      `longtail.class_names` sorts them;
    - a class without a key has 0.

    So counting by `Counter(labels)` or `Series(labels).value_counts()` is `longtail.class_counts(labels)`.

    Raises:
        TypeError: no vector of numbers: text and truth values, which are labels, or a data set.
        ValueError: keys that are no class, or whose order is not known.
    """
    entries = as_dict(values, name)
    if entries is None:
        return _numbers(values, name)
    indices = _class_indices(list(entries), name, classes, categories(getattr(values, "index", None)))
    counts = np.zeros(max(indices.values(), default=-1) + 1 if classes is None else len(classes))
    for key, number in entries.items():
        counts[indices[key]] = _number(number, key, name)
    return counts


def checked_counts(values: Any, name: str, classes: Sequence[str] | None = None) -> NDArray[np.float64]:
    """Return counts per class as a new array (C,) float64, read as `by_class` reads them.

    Raises:
        ValueError: not one-dimensional, no class, a count that is negative or not finite.
        TypeError: as `by_class`.
    """
    counts = np.array(by_class(values, name, classes), dtype=np.float64)
    if counts.ndim != 1 or counts.size == 0:
        raise ValueError(f"{name} must be one-dimensional with one count per class, got shape {counts.shape}; {COUNT}")
    bad = counts[~(np.isfinite(counts) & (counts >= 0))]
    if bad.size:
        raise ValueError(f"{name} must be finite and >= 0, got {bad[0]:g}; {COUNT}")
    return counts


def like_labels(values: NDArray[Any]) -> str:
    """Return a hint, in words, that a vector passed as counts looks like labels; "" where it does not.

    Labels have all of 0..K-1 as their values and no other, K >= 2, each twice on average. Counts may look the same, so
    this is no check: it explains an error that has another cause, such as an empty class or a wrong C.
    """
    if values.ndim != 1 or values.size < 4 or values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        return ""
    distinct = np.unique(values)
    size = len(distinct)
    if size < 2 or 2 * size > values.size or not np.array_equal(distinct, np.arange(size)):
        return ""
    return f"these look like {values.size} labels of {size} classes"


def warn_of_labels(values: NDArray[Any], name: str) -> None:
    """Log a warning where counts look like labels; it is no error, since counts of rare classes may look so too."""
    hint = like_labels(values)
    if hint and values.size >= 10 * len(np.unique(values)):
        log.warning("%s: %s; if they are, %s", name, hint, COUNT)


def _numbers(values: Any, name: str) -> NDArray[Any]:
    known = hasattr(values, "detach") or hasattr(values, "__array__") or isinstance(values, Sequence)
    if not known or isinstance(values, str | bytes):  # converting a data set would decode it
        raise TypeError(
            f"{name} must be numbers, one per class, got {_short(values)}; {COUNT}, which reads a data set too"
        )
    try:
        array = as_array(values)
    except ValueError:  # lists of several lengths
        raise TypeError(f"{name} must be numbers, one per class, got {_short(values)}; {COUNT}") from None
    if array.dtype.kind in "iuf":
        return array
    odd = next((v for v in array.ravel().tolist() if isinstance(v, str | bytes | bool)), None)
    if odd is None and array.dtype.kind == "O":
        return np.array([_number(v, j, name) for j, v in enumerate(array.ravel().tolist())]).reshape(array.shape)
    kind = f"{array.dtype} with values like {_short(odd)}, as labels are"
    raise TypeError(f"{name} must be numbers, one per class, got {kind}; {COUNT}")


def _class_indices(
    keys: list[Any], name: str, classes: Sequence[str] | None, categories: Sequence[str] | None
) -> dict[Any, int]:
    """Key -> class index."""
    if all(is_whole(key) for key in keys):
        return _by_index(keys, name, classes)
    odd = [key for key in keys if not isinstance(key, str)]
    if odd:
        raise ValueError(f"{name} must have class indices or names as keys, got {_short(odd[0])}; {COUNT}")
    order = [str(c) for c in classes or categories or sorted(keys)]
    if classes is None and categories is None and _numerals(order):
        raise ValueError(
            f"{name} must have names whose order is known, got numbers as text, which sort as {order[0]!r}, "
            f"{order[1]!r}, {order[2]!r}, ...; make the keys integers, or pass a list in the order of the classes"
        )
    index = {c: j for j, c in enumerate(order)}
    unknown = next((key for key in keys if key not in index), None)
    if unknown is not None:
        raise ValueError(f"{name} must name known classes, got {_short(unknown)}; known are {', '.join(order[:8])}")
    return {key: index[key] for key in keys}


def _by_index(keys: list[Any], name: str, classes: Sequence[str] | None) -> dict[Any, int]:
    indices = {key: int(key) for key in keys}
    low, high = min(indices.values(), default=0), max(indices.values(), default=0)
    if low < 0:
        raise ValueError(f"{name} must have class indices >= 0 as keys, got {low}; drop ignored examples")
    if classes is not None and high >= len(classes):
        raise ValueError(
            f"{name} must have class indices below {len(classes)} as keys, got {high}; name every class in classes"
        )
    if high + 1 > max(1000, 10 * len(keys)):
        raise ValueError(
            f"{name} must have class indices as keys, got {high} among {len(keys)}, which is an identifier; "
            "number the classes from 0 on, or make the keys text"
        )
    return indices


def categories(values: Any) -> list[str] | None:
    """Return the categories of a pandas categorical index or dtype, in their order, where they are text; else None."""
    entries = getattr(values, "categories", None)
    names = [] if entries is None else list(entries)
    return names if names and all(isinstance(c, str) for c in names) else None


def _numerals(order: list[str]) -> bool:
    """Whether names are whole numbers that sort differently as text than as numbers."""
    return all(c.strip().isdecimal() for c in order) and order != sorted(order, key=int)


def is_whole(key: Any) -> bool:
    """Return whether a key is a whole number, and so a class index."""
    return isinstance(key, int | np.integer | np.bool_) or (isinstance(key, float | np.floating) and key.is_integer())


def _number(value: Any, key: Any, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name} must be numbers, one per class, got {_short(value)} for {_short(key)}; {COUNT}"
        ) from None


def _short(value: Any) -> str:
    text = repr(value).replace("\n", " ")
    return text if len(text) <= 60 else f"{type(value).__name__} {text[:50]}..."
