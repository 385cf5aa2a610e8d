"""Class counts: the one statistic that methods read, from whatever holds the labels.

Labels come as tensors, lists, arrays, pandas columns or a `torch.utils.data.Dataset` (`Subset`,
`ConcatDataset`, `TensorDataset` and datasets that keep their labels in an attribute or a column); no input is
ever decoded to count its label.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, Subset, TensorDataset

from longtail import identifiers
from longtail.arrays import COUNT, by_class, like_labels, whole, wonder
from longtail.wording import told

LABEL_NAMES = ("targets", "labels", "label", "y")
"""Where a dataset may keep its labels, as an attribute or a column, in the order in which we look."""


def class_counts(labels: Any, num_classes: int | None = None, classes: Sequence[str] | None = None) -> Tensor:
    """How many examples each class has.

    n_j = #{i : y_i = j}

    Args:
        labels: N labels, also as a column (N, 1). Integers are class indices, whole numbers that are stored as floats
            too; strings are sorted as `np.unique` sorts them.
        num_classes: C, where some of the last classes may be missing from integer labels.
        classes: the names of all classes in their order; string labels are looked up in them.

    Returns:
        (C,) int64; C = max + 1 for integers unless `num_classes` or `classes` says more.

    Raises:
        ValueError: no labels, a negative label, a label outside `num_classes` or `classes`.
        TypeError: labels that are neither integers nor strings, or a dataset whose labels cannot be found.
    """
    if num_classes is None:
        indices, known = encode(labels, classes)
        return torch.bincount(torch.from_numpy(indices), minlength=len(known))
    if isinstance(num_classes, bool) or not isinstance(num_classes, int | np.integer):
        raise TypeError(f"num_classes must be an integer, got {told(num_classes)}; leave it out or count the classes")
    indices, names = _encoded(labels, classes)
    size = int(indices.max()) + 1 if names is None else len(names)
    if num_classes < size:
        raise ValueError(
            f"num_classes must be at least {size} for these labels, got {num_classes}; "
            "leave it out or count the classes anew"
        )
    if num_classes > identifiers.MOST_CLASSES:
        raise ValueError(
            f"num_classes must be at most {identifiers.MOST_CLASSES:,}, got {num_classes:,}; name the classes there are"
        )
    return torch.bincount(torch.from_numpy(indices), minlength=int(num_classes))


def class_names(labels: Any, classes: Sequence[str] | None = None) -> list[str]:
    """Class names in index order: strings sorted, integers as "0", "1", ..., or the dataset's own."""
    return encode(labels, classes)[1]


def encode(labels: Any, classes: Sequence[str] | None = None) -> tuple[np.ndarray, list[str]]:
    """Labels as int64 indices (N,) and the names of the C classes; integers that are identifiers are refused."""
    indices, names = _encoded(labels, classes)
    return indices, identifiers.numbered(indices) if names is None else names


def _encoded(labels: Any, classes: Sequence[str] | None = None) -> tuple[np.ndarray, list[str] | None]:
    """Labels as int64 indices (N,), and the names of the C classes where they are known."""
    array, own_names = _labels(labels)
    names = [str(c) for c in classes] if classes is not None else own_names
    if names is not None and len(set(names)) < len(names):
        twice = next(c for c in names if names.count(c) > 1)
        raise ValueError(f"classes must be named once each, got {told(twice)} twice; remove one")
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
    example = next((v for v in odd if not whole(v)), odd[0])
    raise TypeError(
        f"labels must be integers or strings, got {array.dtype} with values like {told(example)}; "
        "convert them (missing labels have to be dropped, measurements cut into classes first)"
    )


def _from_integers(array: np.ndarray, names: list[str] | None) -> np.ndarray:
    indices = identifiers.indices(array)
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
    found, indices = np.unique(array, return_inverse=True)
    if names is None:
        return indices.astype(np.int64), [str(c) for c in found]
    position = {name: j for j, name in enumerate(names)}
    unknown = [str(c) for c in found if str(c) not in position]
    if unknown:
        known = ", ".join(names[:8])
        raise ValueError(f"labels must be among the classes, got {told(unknown[0])}; known are {known}")
    return np.array([position[str(c)] for c in found], dtype=np.int64)[indices], names


def _labels(source: Any) -> tuple[np.ndarray, list[str] | None]:
    """The labels of anything as an array, and the class names where the source knows them."""
    if isinstance(source, Tensor):
        return source.detach().cpu().numpy(), None
    if isinstance(source, TensorDataset):
        return _labels(source.tensors[-1])
    if isinstance(source, Subset):
        array, names = _labels(source.dataset)
        return array[np.asarray(source.indices, dtype=np.int64)], names
    if isinstance(source, ConcatDataset):
        parts = [_labels(part) for part in source.datasets]
        if any(names != parts[0][1] for _, names in parts):
            raise ValueError(
                "labels of a ConcatDataset must have the same classes in every part, got "
                f"{' and '.join(str(names) for _, names in parts[:2])}; encode the parts alike first"
            )
        return np.concatenate([array for array, _ in parts]), parts[0][1]
    if isinstance(source, np.ndarray) or hasattr(source, "to_numpy"):
        return _column(source), _categories(source)
    if isinstance(source, Sequence) and not isinstance(source, str | bytes):
        values = [v.item() if isinstance(v, Tensor | np.generic) else v for v in source]
        mixed = len({isinstance(v, str | bytes) for v in values}) > 1
        # NumPy would turn a missing label among strings into a class of its own, called "nan"
        return np.asarray(values, dtype=object if mixed else None), None
    return _dataset_labels(source)


def _column(source: Any) -> np.ndarray:
    array = source if isinstance(source, np.ndarray) else source.to_numpy()
    return np.asarray(array)


def _categories(source: Any) -> list[str] | None:
    """A pandas categorical of strings keeps its own order of classes."""
    categories = getattr(getattr(source, "dtype", None), "categories", None)
    if categories is None or not all(isinstance(c, str) for c in categories):
        return None
    return [str(c) for c in categories]


def _dataset_labels(source: Any) -> tuple[np.ndarray, list[str] | None]:
    names = getattr(source, "classes", None)
    columns = getattr(source, "column_names", ())
    for name in LABEL_NAMES:
        if name in columns:  # a `datasets.Dataset`: reading one column decodes nothing else
            feature = source.features[name]
            return _labels(np.asarray(source[name]))[0], _named(getattr(feature, "names", names))
        held = getattr(source, name, None)
        if held is not None and not callable(held):
            return _labels(held)[0], _named(names)
    raise TypeError(
        f"labels of a {type(source).__name__} cannot be found without decoding its inputs: none of "
        f"{', '.join(LABEL_NAMES)} is there; pass the labels themselves"
    )


def _named(classes: Any) -> list[str] | None:
    return None if classes is None else [str(c) for c in classes]


def as_counts(counts: Any, name: str = "class_counts", classes: Sequence[str] | None = None) -> Tensor:
    """Counts as a float64 tensor (C,), checked: one-dimensional, at least one class, finite, non-negative.

    A dict, a Counter or a pandas Series is read by its keys, see `longtail.arrays.by_class`. Labels in the place of
    counts are refused where that is certain: text, truth values, a negative number. Integers that hold labels make
    valid counts of as many classes as there are labels, most with a class 0 that is empty; they are refused by what
    cannot use such counts (an empty class, or another number of classes than the logits have), which then says so.
    """
    if isinstance(counts, Tensor) and counts.dtype != torch.bool and not counts.is_complex():
        tensor = counts.detach().to(torch.float64, copy=True)
    else:  # a copy too: arrays out of pandas are read-only
        tensor = torch.from_numpy(np.array(by_class(counts, name, classes), dtype=np.float64))
    if tensor.ndim != 1 or tensor.numel() == 0:
        raise ValueError(
            f"{name} must be one-dimensional with one count per class, got shape {tuple(tensor.shape)}; "
            "use longtail.class_counts(labels)"
        )
    if not bool(torch.isfinite(tensor).all()) or bool((tensor < 0).any()):
        bad = float(tensor[~(torch.isfinite(tensor) & (tensor >= 0))][0])
        raise ValueError(f"{name} must be finite and >= 0, got {bad:g}; use longtail.class_counts(labels)")
    if not bool(tensor.sum() > 0):
        raise ValueError(f"{name} must count at least one example, got only zeros; use longtail.class_counts(labels)")
    return tensor


def positive_counts(counts: Any, zero_count: str | float = "error", name: str = "class_counts") -> Tensor:
    """Counts (C,) float64 for formulas that divide by n or take its log.

    zero_count: "error" names the empty classes; "mask" leaves the zeros in (the caller masks them); a number
    is added to the empty classes as their pseudo-count.
    """
    tensor = as_counts(counts, name)
    if zero_count == "mask":
        return tensor
    empty = tensor == 0
    if isinstance(zero_count, int | float) and not isinstance(zero_count, bool) and zero_count > 0:
        return torch.where(empty, torch.full_like(tensor, float(zero_count)), tensor)
    if zero_count != "error":
        raise ValueError(
            f'zero_count must be "error", "mask" or a number > 0, got {told(zero_count)}; try "mask" or 1.0'
        )
    if bool(empty.any()):
        where = torch.nonzero(empty).flatten().tolist()
        hint = like_labels(tensor.cpu().numpy())
        way = f"{hint}: {COUNT}" if hint else 'drop the class or pass zero_count="mask" or a pseudo-count'
        raise ValueError(f"{name} must be > 0 for every class, got 0 for class {', '.join(map(str, where[:8]))}; {way}")
    return tensor


def priors(counts: Any) -> Tensor:
    """pi_j = n_j / N, (C,) float64."""
    tensor = as_counts(counts)
    wonder(tensor.cpu().numpy(), "class_counts")
    return tensor / tensor.sum()


def log_priors(counts: Any, zero_count: str | float = "error") -> Tensor:
    """log pi_j = log(n_j / N), (C,) float64; -inf for an empty class under zero_count="mask"."""
    tensor = positive_counts(counts, zero_count)
    return tensor.log() - tensor.sum().log()


def imbalance_ratio(counts: Any) -> float:
    """rho = max_j n_j / min_j n_j, >= 1; infinite where a class is empty."""
    tensor = as_counts(counts)
    wonder(tensor.cpu().numpy(), "class_counts")
    low = float(tensor.min())
    return float(tensor.max()) / low if low > 0 else float("inf")
