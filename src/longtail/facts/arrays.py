"""What people hand in (arrays, lists, tensors, frames' columns, dicts) as a NumPy array; torch is not imported."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["as_array", "by_class", "keyed", "like_labels", "whole", "wonder"]

log = logging.getLogger(__name__)

COUNT = "use longtail.class_counts(labels)"


def as_array(values: Any) -> NDArray[Any]:
    """View ``values`` as a NumPy array, without a copy where there need be none.

    A torch tensor (known by its ``detach`` method) is detached and brought to the CPU; its 16-bit floats,
    of which NumPy lacks bfloat16, are widened to float32, exactly.
    """
    if hasattr(values, "detach"):
        tensor = values.detach().cpu()
        return np.asarray((tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy())
    return np.asarray(values)


def keyed(values: Any, name: str = "class_counts") -> dict[Any, Any] | None:
    """What stands under keys (a dict, a Counter, a pandas Series with its index) as a dict; None for all else.

    Raises:
        ValueError: a Series that has a key twice.
    """
    if isinstance(values, Mapping):
        return dict(values)
    index = getattr(values, "index", None)
    if index is None or callable(index) or hasattr(values, "columns") or not hasattr(values, "to_numpy"):
        return None
    keys = index.tolist()
    # a frame's value_counts() has tuples of one
    keys = [key[0] if isinstance(key, tuple) and len(key) == 1 else key for key in keys]
    found = dict(zip(keys, values.tolist(), strict=True))
    if len(found) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"{name} must have one number per class, got {twice!r} twice in its index; {COUNT}")
    return found


def by_class(values: Any, name: str = "class_counts", classes: Sequence[str] | None = None) -> NDArray[Any]:
    """Numbers per class in the order of the classes.

    Lists, arrays and tensors stand in that order already. A dict, a Counter or a pandas Series is read by its keys,
    never by position (``value_counts`` is sorted by frequency):

    - whole numbers are class indices: C = max + 1, or the number of ``classes``;
    - text is class names: in the order of ``classes``, of the categories of a categorical index, or else sorted as
      `longtail.class_names` sorts them;
    - a class without a key has 0.

    So counting by `Counter(labels)` or `Series(labels).value_counts()` is `longtail.class_counts(labels)`.

    Raises:
        TypeError: what is no vector of numbers: text and truth values, which are labels, or a data set.
        ValueError: keys that are no class, or whose order is not known.
    """
    found = keyed(values, name)
    if found is None:
        return _numbers(values, name)
    places = _places(list(found), name, classes, _categories(values))
    counts = np.zeros(max(places.values(), default=-1) + 1 if classes is None else len(classes))
    for key, number in found.items():
        counts[places[key]] = _number(number, key, name)
    return counts


def like_labels(values: NDArray[Any]) -> str:
    """How a vector that cannot be meant as counts looks like labels, in words; "" where it does not.

    It holds all of 0..K-1 and nothing else, K >= 2, twice each on average. Counts may look the same, so this decides
    nothing: it only explains what is refused for another reason, such as a class without examples or a wrong C.
    """
    if values.ndim != 1 or values.size < 4 or values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        return ""
    distinct = np.unique(values)
    size = len(distinct)
    if size < 2 or 2 * size > values.size or not np.array_equal(distinct, np.arange(size)):
        return ""
    return f"these look like {values.size} labels of {size} classes"


def wonder(values: NDArray[Any], name: str) -> None:
    """Say in the log that counts look like labels, where nothing else can tell: rare classes may look so too."""
    hint = like_labels(values)
    if hint and values.size >= 10 * len(np.unique(values)):
        log.warning("%s: %s; if they are, %s", name, hint, COUNT)


def _numbers(values: Any, name: str) -> NDArray[Any]:
    known = hasattr(values, "detach") or hasattr(values, "__array__") or isinstance(values, Sequence)
    if not known or isinstance(values, str | bytes):  # a data set would be decoded by looking into it
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


def _places(
    keys: list[Any], name: str, classes: Sequence[str] | None, categories: Sequence[str] | None
) -> dict[Any, int]:
    """Key -> class index."""
    if all(whole(key) for key in keys):
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
    place = {c: j for j, c in enumerate(order)}
    unknown = next((key for key in keys if key not in place), None)
    if unknown is not None:
        raise ValueError(f"{name} must name known classes, got {_short(unknown)}; known are {', '.join(order[:8])}")
    return {key: place[key] for key in keys}


def _by_index(keys: list[Any], name: str, classes: Sequence[str] | None) -> dict[Any, int]:
    places = {key: int(key) for key in keys}
    low, high = min(places.values(), default=0), max(places.values(), default=0)
    if low < 0:
        raise ValueError(f"{name} must have class indices >= 0 as keys, got {low}; leave ignored examples out")
    if classes is not None and high >= len(classes):
        raise ValueError(
            f"{name} must have class indices below {len(classes)} as keys, got {high}; name every class in classes"
        )
    if high + 1 > max(1000, 10 * len(keys)):
        raise ValueError(
            f"{name} must have class indices as keys, got {high} among {len(keys)}, which is an identifier; "
            "number the classes from 0 on, or make the keys text"
        )
    return places


def _categories(values: Any) -> Sequence[str] | None:
    """A categorical index of text has an order of its own."""
    categories = getattr(getattr(values, "index", None), "categories", None)
    found = None if categories is None else list(categories)
    return found if found and all(isinstance(c, str) for c in found) else None


def _numerals(order: list[str]) -> bool:
    """Whether names are whole numbers whose order as text is another than as numbers."""
    return all(c.strip().isdecimal() for c in order) and order != sorted(order, key=int)


def whole(key: Any) -> bool:
    """Whether a key is a whole number, and so a class index."""
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
