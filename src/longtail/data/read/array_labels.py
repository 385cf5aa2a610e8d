"""Labels in arrays, some of which may be missing: -1 or NaN among class indices, "", None or NaN among names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from longtail.data.read.array_files import LABELS, array_names
from longtail.data.read.arrays import as_inputs
from longtail.data.read.candidates import array_sets, check_separator, parse_sets
from longtail.data.read.images.embeddings import stored
from longtail.facts.counts import encode

SAME = "same"
"""The value of `unlabeled` where the rows without labels are among the others."""


def is_same(unlabeled: Any) -> bool:
    """Return whether rows without labels are among the others."""
    return isinstance(unlabeled, str) and unlabeled == SAME


class ArrayLabels(NamedTuple):
    """Targets (N,), -1 where missing, or candidate sets (N, C); the C class names; (N,) bool, which are missing."""

    targets: Tensor
    classes: tuple[str, ...]
    missing: np.ndarray

    def followed_by(self, count: int) -> ArrayLabels:
        """Return the labels of these rows and of `count` further ones that have none."""
        targets = torch.cat([self.targets, torch.full((count,), -1)])
        return self._replace(targets=targets, missing=np.append(self.missing, np.ones(count, dtype=bool)))


def row_labels(labels: Any, classes: Sequence[str] | None, sets: Any, unlabeled: Any) -> ArrayLabels:
    """Return class indices or candidate sets of N rows.

    Args:
        labels: N labels, or None.
        classes: the class names in order, or None.
        sets: candidate sets (N, C) in place of labels, or what separates the names in each label, or None.
        unlabeled: "same" where some labels are missing.

    Raises:
        ValueError, TypeError: no labels, both kinds, and as `read_labels`, `array_sets` and `parse_sets`.
    """
    if labels is None and sets is None:
        raise TypeError("labels are missing; pass them as the second argument, or label= for a frame's column")
    if labels is not None and sets is not None and not isinstance(sets, str):
        raise TypeError("labels and candidates name the labels twice; pass one of them")
    if isinstance(sets, str) and labels is None:
        raise TypeError("candidates (--candidates) separates the names in labels, which are missing; pass them, too")
    if sets is not None and unlabeled is not None:
        raise ValueError("unlabeled (--unlabeled) cannot go with candidate sets; leave out rows without labels")
    return read_labels(labels, classes, unlabeled) if sets is None else of_sets(sets, labels, classes)


def of_sets(sets: Any, labels: Any, classes: Any) -> ArrayLabels:
    """Return candidate sets from truth values (N, C), or from N labels with what separates the names in each."""
    if isinstance(sets, str):
        cells = [str(label) for label in labels]
        targets, names = parse_sets(cells, check_separator(sets), "labels", classes)
    else:
        targets, names = array_sets(sets, classes)
    return ArrayLabels(targets, names, np.zeros(len(targets), dtype=bool))


def read_labels(labels: Any, classes: Sequence[str] | None, unlabeled: Any) -> ArrayLabels:
    """Return the labels of N rows, some of them missing where `unlabeled` is "same".

    Raises:
        ValueError: labels are missing and may not be, or none is missing that should be; and as `encode`.
    """
    missing = missing_labels(labels)
    if not is_same(unlabeled):
        if missing.any() and _array(labels).dtype.kind in "if":
            raise ValueError(
                f"labels must be >= 0, got {_array(labels).ravel()[missing][0]:g} in {int(missing.sum())} of "
                f'{len(missing)} rows; drop these rows, or pass unlabeled="same" (--unlabeled same) to learn from them '
                "without labels"
            )
        indices, names = encode(labels, classes)
        return ArrayLabels(torch.from_numpy(indices), tuple(names), np.zeros(len(indices), dtype=bool))
    if not missing.any():
        encode(labels, classes)  # a label of no class, such as -2, is named first
    check_some(missing, "labels")
    array = _array(labels)
    indices, names = encode(np.array(array[~missing].tolist()), classes)
    targets = torch.full((len(array),), -1)
    targets[torch.from_numpy(~missing)] = torch.from_numpy(indices)
    return ArrayLabels(targets, tuple(names), missing)


def check_some(missing: np.ndarray, where: str) -> None:
    """Raise ValueError where none of the rows, or all of them, have no label."""
    if not missing.any():
        raise ValueError(
            f'unlabeled="same" (--unlabeled same) needs rows without a label, got none in {where}; leave it out, or '
            "name other data that have no labels"
        )
    if missing.all():
        raise ValueError(f"{where} must not be missing in every row; label some rows of every class")


def missing_labels(labels: Any) -> np.ndarray:
    """Return (N,) bool: -1 and NaN among integers >= 0, "", None and NaN among names; else all False."""
    array = _array(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        return np.zeros(len(array) if array.ndim else 0, dtype=bool)
    if array.dtype.kind in "if":
        missing = (array == -1) | np.isnan(array)
        others = array[~missing]
        return np.asarray(missing & bool(((others == np.trunc(others)) & (others >= 0)).all()))
    if array.dtype.kind == "U":
        return np.asarray(np.char.strip(array) == "")
    if array.dtype.kind == "O":
        return np.array([_is_missing_name(v) for v in array.tolist()], dtype=bool)
    return np.zeros(len(array), dtype=bool)


def _is_missing_name(value: Any) -> bool:
    if isinstance(value, float):
        return value != value
    return value is None or (isinstance(value, str) and not value.strip())


def unlabelled_inputs(unlabeled: Any, like: Tensor) -> tuple[Tensor, str]:
    """Return inputs (M, ...) of rows without labels, like those of labelled ones, and the name of their source.

    Args:
        unlabeled: an array, tensor, `TensorDataset` or numeric frame, or the path of an .npz with X alone or an .npy.
        like: inputs of labelled rows.

    Raises:
        ValueError: a file that has labels, too, or inputs of another shape or type.
        TypeError: a data set without tensors.
    """
    try:
        inputs, name = _inputs_alone(unlabeled)
    except (ValueError, TypeError) as error:
        message = str(error) if str(error).startswith("unlabeled") else f"unlabeled (--unlabeled): {error}"
        raise type(error)(message) from None
    if inputs.shape[1:] != like.shape[1:] or inputs.dtype != like.dtype:
        raise ValueError(
            f"unlabeled rows (--unlabeled) must be like the labelled ones, {tuple(like.shape[1:])} of {like.dtype}, "
            f"got {tuple(inputs.shape[1:])} of {inputs.dtype}; save the same columns, or images of the same size"
        )
    return inputs, name


def _inputs_alone(unlabeled: Any) -> tuple[Tensor, str]:
    """Return inputs without labels, and the name of their source."""
    if isinstance(unlabeled, str | Path):
        path = Path(unlabeled)
        if not path.is_file():
            raise ValueError(
                f"unlabeled (--unlabeled) must be an .npz with X alone or an .npy, got {str(path)!r}, which "
                "is no file; check the path"
            )
        inputs = as_inputs(stored(path)[0])
        if path.suffix == ".npz" and (label := next((n for n in LABELS if n in array_names(path)), None)):
            raise ValueError(
                f"unlabeled (--unlabeled) must hold X alone, got {path.name} with labels {label!r}; save it without, "
                'or put all rows in one file with -1 for missing labels and pass "same"'
            )
        return inputs, path.name
    if isinstance(unlabeled, Dataset) and not isinstance(unlabeled, TensorDataset):
        raise TypeError(
            f"unlabeled must be an array, frame or TensorDataset beside arrays, got a {type(unlabeled).__name__}"
            "; stack its inputs, or pass the labelled rows as a data set, too"
        )
    return as_inputs(unlabeled.tensors[0] if isinstance(unlabeled, TensorDataset) else unlabeled), "unlabeled"


def _array(labels: Any) -> np.ndarray:
    """Return labels as an array; an empty one for a data set, of which nothing is decoded."""
    if isinstance(labels, Tensor):
        return np.asarray(labels.detach().cpu().numpy())
    if hasattr(labels, "to_numpy"):
        return np.asarray(labels.to_numpy())
    return np.asarray(labels) if isinstance(labels, np.ndarray | list | tuple) else np.empty(0)
