"""Convert labels in any form to class indices and names.

Labels are tensors, lists, arrays, pandas columns or those of a `torch.utils.data.Dataset` (`Subset`, `ConcatDataset`,
`TensorDataset` and datasets with labels in an attribute or a column); no input is ever decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import ConcatDataset, Subset, TensorDataset

from longtail.facts import identifiers
from longtail.facts.arrays import categories, is_whole
from longtail.facts.messages import quoted

LABEL_NAMES = ("targets", "labels", "label", "y")
"""Names of the attribute or column of a dataset that may have its labels, in the order they are tried."""


def class_names(labels: Any, classes: Sequence[str] | None = None) -> list[str]:
    """Return class names in index order: strings sorted, integers as "0", "1", ..., or the dataset's own."""
    return encode(labels, classes)[1]


def encode(labels: Any, classes: Sequence[str] | None = None) -> tuple[np.ndarray, list[str]]:
    """Return labels as int64 indices (N,) and the names of the C classes; integers that are identifiers are refused."""
    indices, names = encoded(labels, classes)
    return indices, identifiers.index_names(indices) if names is None else names


def encoded(labels: Any, classes: Sequence[str] | None = None) -> tuple[np.ndarray, list[str] | None]:
    """As `encode`, but with None for the names where labels are integers and no names are known."""
    array, own_names = labels_and_names(labels)
    names = [str(c) for c in classes] if classes is not None else own_names
    if names is not None and len(set(names)) < len(names):
        twice = next(c for c in names if names.count(c) > 1)
        raise ValueError(f"classes must be named once each, got {quoted(twice)} twice; remove one")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]  # a column
    if array.ndim != 1:
        raise ValueError(
            f"labels must be one-dimensional, got shape {array.shape}; pass one class index or name per example"
        )
    if array.size == 0:
        raise ValueError("labels must not be empty, got 0 of them; pass at least one example")
    if array.dtype.kind == "f" and np.isfinite(array).all() and (array == np.trunc(array)).all():
        array = array.astype(np.int64)
    if array.dtype.kind in "biu":
        return _from_integers(array, names), names
    if array.dtype.kind in "US" or all(isinstance(v, str) for v in array.tolist()):
        return _from_strings(array.astype(str), names)
    odd = [v for v in array.tolist() if not isinstance(v, str)]
    example = next((v for v in odd if not is_whole(v)), odd[0])
    raise TypeError(
        f"labels must be integers or strings, got {array.dtype} with values like {quoted(example)}; "
        "convert them (missing labels have to be dropped, measurements cut into classes first)"
    )


def _from_integers(array: np.ndarray, names: list[str] | None) -> np.ndarray:
    indices = identifiers.as_indices(array)
    if indices.min() < 0:
        raise ValueError(
            f"labels must be >= 0, got {indices.min()}; drop ignored examples before counting, "
            "or pass names if these are categories"
        )
    if names is not None and indices.max() >= len(names):
        raise ValueError(
            f"labels must be below the number of classes {len(names)}, got {indices.max()}; "
            "name every class or correct the label"
        )
    return indices


def _from_strings(array: np.ndarray, names: list[str] | None) -> tuple[np.ndarray, list[str]]:
    distinct, indices = np.unique(array, return_inverse=True)
    if names is None:
        return indices.astype(np.int64), [str(c) for c in distinct]
    position = {name: j for j, name in enumerate(names)}
    unknown = [str(c) for c in distinct if str(c) not in position]
    if unknown:
        known = ", ".join(names[:8])
        raise ValueError(f"labels must be among the classes, got {quoted(unknown[0])}; known are {known}")
    return np.array([position[str(c)] for c in distinct], dtype=np.int64)[indices], names


def labels_and_names(source: Any) -> tuple[np.ndarray, list[str] | None]:
    """Return the labels as an array, and the class names where the source has them."""
    if isinstance(source, Tensor):
        return source.detach().cpu().numpy(), None
    if isinstance(source, TensorDataset):
        return labels_and_names(source.tensors[-1])
    if isinstance(source, Subset):
        array, names = labels_and_names(source.dataset)
        return array[np.asarray(source.indices, dtype=np.int64)], names
    if isinstance(source, ConcatDataset):
        parts = [labels_and_names(part) for part in source.datasets]
        if any(names != parts[0][1] for _, names in parts):
            raise ValueError(
                "labels of a ConcatDataset must have the same classes in every part, got "
                f"{' and '.join(str(names) for _, names in parts[:2])}; encode the parts alike first"
            )
        return np.concatenate([array for array, _ in parts]), parts[0][1]
    if isinstance(source, np.ndarray) or hasattr(source, "to_numpy"):
        array = source if isinstance(source, np.ndarray) else source.to_numpy()
        return np.asarray(array), categories(getattr(source, "dtype", None))
    if isinstance(source, Sequence) and not isinstance(source, str | bytes):
        values = [v.item() if isinstance(v, Tensor | np.generic) else v for v in source]
        mixed = len({isinstance(v, str | bytes) for v in values}) > 1
        # NumPy would turn a missing label among strings into a class of its own, called "nan"
        return np.asarray(values, dtype=object if mixed else None), None
    return _dataset_labels(source)


def _dataset_labels(source: Any) -> tuple[np.ndarray, list[str] | None]:
    names = getattr(source, "classes", None)
    columns = getattr(source, "column_names", ())
    for name in LABEL_NAMES:
        if name in columns:  # a `datasets.Dataset`: reading one column decodes nothing else
            feature = source.features[name]
            return labels_and_names(np.asarray(source[name]))[0], _named(getattr(feature, "names", names))
        attribute = getattr(source, name, None)
        if attribute is not None and not callable(attribute):
            return labels_and_names(attribute)[0], _named(names)
    raise TypeError(
        f"labels of a {type(source).__name__} cannot be found without decoding its inputs: none of "
        f"{', '.join(LABEL_NAMES)} exists; pass the labels themselves"
    )


def _named(classes: Any) -> list[str] | None:
    return None if classes is None else [str(c) for c in classes]
