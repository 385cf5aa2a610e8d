"""Arrays in files and arrays, tensors and frames in memory as pools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from longtail.data.pool import PARTS, Pool
from longtail.data.read import array_files
from longtail.data.read.array_labels import (
    ArrayLabels,
    is_same,
    missing_labels,
    of_sets,
    read_labels,
    row_labels,
    unlabelled_inputs,
)
from longtail.data.read.arrays import as_inputs, as_weight, check_length, is_frame, of_dataset
from longtail.data.read.candidates import check_separator
from longtail.data.read.datasets import check_map_style, dataset_pool, is_sets
from longtail.data.read.options import ALLOWED, refuse
from longtail.data.read.row_pool import declared, feature_preparation, group_codes, row_pool
from longtail.data.read.tables.table_pool import table_pool
from longtail.data.rows import Examples

LABELS = "longtail labels"
"""The column for labels that are passed beside a frame."""


def array_file_pool(
    path: Path, *, classes: Any, name: Any, label: str | None = None, group: str | None = None, unlabeled: Any = None
) -> Pool:
    """Return the rows of an .npz or .npy as a pool; see `array_files.read`.

    Raises:
        ValueError, TypeError: arrays that do not fit each other; the file is named.
    """
    arrays = array_files.read(path, label, group)
    try:
        return _file_pool(path, arrays, classes, name or path.stem, unlabeled)
    except (ValueError, TypeError) as error:  # about arrays, whatever file they come from
        named = path.name in str(error) or str(error).startswith("unlabeled")
        message = str(error) if named else f"{path.name}: {error}"
        raise (TypeError if isinstance(error, TypeError) else ValueError)(message) from None


def _file_pool(path: Path, arrays: dict[str, np.ndarray], classes: Any, name: str, unlabeled: Any) -> Pool:
    suffixes = {"train": "", **{part: f"_{part}" for part in PARTS if f"X_{part}" in arrays}}
    inputs = {part: as_inputs(arrays[f"X{suffix}"]) for part, suffix in suffixes.items()}
    labels = _file_labels(arrays, suffixes, classes, unlabeled)
    sizes = {part: len(arrays.get(f"y{s}", arrays.get(f"candidates{s}", ()))) for part, s in suffixes.items()}
    shape = tuple(inputs["train"].shape[1:])
    for part, rows in inputs.items():
        check_length(rows, sizes[part])
        if tuple(rows.shape[1:]) != shape:
            raise ValueError(
                f"the {part} part must have the features of the training part, got {tuple(rows.shape[1:])} "
                f"against {shape}; save the same columns"
            )
    weight = None
    if "sample_weight" in arrays:
        if len(inputs) > 1:
            raise ValueError("sample_weight cannot go with a declared split; weigh rows in data without parts")
        weight = as_weight(arrays["sample_weight"], len(inputs["train"]))
    return _pool(
        name,
        torch.cat([*inputs.values()]) if len(inputs) > 1 else inputs["train"],
        labels,
        tuple((array_files.source_name(path, part), len(rows)) for part, rows in inputs.items()),
        unlabeled,
        parts=None if len(inputs) == 1 else np.repeat(list(inputs), [len(rows) for rows in inputs.values()]),
        groups=group_codes(arrays["group"]) if "group" in arrays else None,
        sample_weight=weight,
        facts={"source": path.stem},
    )


def _file_labels(arrays: dict[str, np.ndarray], suffixes: dict[str, str], classes: Any, unlabeled: Any) -> ArrayLabels:
    """Return the labels of all parts: one set of names for all, wherever a class happens to occur."""
    if "classes" in arrays:
        classes = [str(c) for c in arrays["classes"]]
    if "candidates" in arrays:
        if unlabeled is not None:
            raise ValueError("unlabeled (--unlabeled) cannot go with candidate sets; leave out rows without labels")
        sets = [_sets_of_part(arrays, suffix, classes) for suffix in suffixes.values()]
        return of_sets(np.concatenate(sets), None, classes)
    labels = np.concatenate([np.asarray(arrays[f"y{suffix}"]).ravel() for suffix in suffixes.values()])
    return read_labels(labels, classes, unlabeled)


def _sets_of_part(arrays: dict[str, np.ndarray], suffix: str, classes: Any) -> np.ndarray:
    if f"candidates{suffix}" in arrays:
        return np.asarray(arrays[f"candidates{suffix}"])
    names = classes or [str(j) for j in range(arrays["candidates"].shape[-1])]
    indices = read_labels(arrays[f"y{suffix}"].ravel(), names, None).targets
    return np.asarray(np.eye(len(names), dtype=bool)[indices.numpy()])


def memory_pool(
    source: Any, labels: Any, given: dict[str, Any], classes: Any, sample_weight: Any, name: str | None
) -> Pool:
    """Return arrays, tensors and nested lists, which are features as they are, a frame or a torch data set as a pool.

    Raises:
        ValueError, TypeError: one line that names the argument, the rule, the value and the way out.
    """
    tensors = of_dataset(source)
    if tensors is not None:
        if labels is not None:
            raise TypeError("labels cannot be given beside a TensorDataset, which has its own; leave them out")
        source, labels = tensors
        if is_sets(labels) and given.get("candidates") is None:
            labels, given = None, {**given, "candidates": labels}
    if isinstance(source, Dataset):
        refuse("a data set", ALLOWED["data set"], given)
        check_map_style(source)
    weights = None if sample_weight is None else as_weight(sample_weight, len(source))
    if isinstance(source, Dataset):
        return dataset_pool(source, labels, classes, weights, name or type(source).__name__, **given)
    read = _frame_pool if is_frame(source) else _features_pool
    return read(source, labels, given, classes, weights, name or "data")


def _frame_pool(
    frame: Any, labels: Any, given: dict[str, Any], classes: Any, weights: Tensor | None, name: str
) -> Pool:
    refuse("a frame", ALLOWED["frame"], given)
    if "candidates" in given:
        check_separator(given["candidates"])
    if labels is not None and "label" in given:
        raise TypeError("labels and label name the labels twice; pass one of them")
    if isinstance(labels, str):
        given = {**given, "label": labels}
    elif labels is not None:
        given = {**given, "label": LABELS}
        column = np.asarray(labels)
        column = column[:, 0] if column.shape[1:] == (1,) else column
        if given.get("unlabeled") is not None and (missing := missing_labels(column)).any():
            column = column.astype(object)
            column[missing] = None
        frame = frame.assign(**{LABELS: column})
    return table_pool(frame, name=name, classes=classes, sample_weight=weights, **given)


def _features_pool(
    features: Any, labels: Any, given: dict[str, Any], classes: Any, weights: Tensor | None, name: str
) -> Pool:
    refuse("arrays", ALLOWED["arrays"], given)
    sets, unlabeled = given.get("candidates"), given.get("unlabeled")
    read = row_labels(labels, classes, sets, unlabeled)
    inputs = as_inputs(features)
    check_length(inputs, len(read.targets))
    return _pool(
        name,
        inputs,
        read,
        ((name, len(inputs)),),
        unlabeled,
        **declared(given, len(inputs)),
        sample_weight=weights,
        facts={"source": name},
        separator=sets if isinstance(sets, str) else None,
    )


def _pool(
    name: str,
    inputs: Tensor,
    labels: ArrayLabels,
    files: tuple[tuple[str, int], ...],
    unlabeled: Any,
    **options: Any,
) -> Pool:
    """Return the pool of these rows and of further ones without labels, unless these are among them; see `row_pool`."""
    if unlabeled is not None and not is_same(unlabeled):
        rest, source = unlabelled_inputs(unlabeled, inputs)
        inputs, labels, files = torch.cat([inputs, rest]), labels.followed_by(len(rest)), (*files, (source, len(rest)))
    rows = Examples(inputs, labels.targets, labels.classes)
    return row_pool(name, rows, labels, files, unlabeled, preparation=feature_preparation(inputs), **options)
