"""Read data by their kind: files, folders, the hub, arrays and frames become a `Pool`."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from longtail.data.origin import Origin
from longtail.data.pool import PARTS, Pool
from longtail.data.prepare.images import FeaturePreparation
from longtail.data.read import array_files
from longtail.data.read.arrays import as_weight, examples, is_frame, of_dataset
from longtail.data.read.cifar import SOURCES
from longtail.data.read.datasets import dataset_pool
from longtail.data.read.hub import hub_pool
from longtail.data.read.images.image_folder import image_pool
from longtail.data.read.options import ALLOWED, DEFAULTS, refuse
from longtail.data.read.tables.sources import is_table
from longtail.data.read.tables.table_pool import table_pool
from longtail.data.rows import Examples
from longtail.facts.counts import class_names
from longtail.facts.messages import quoted
from longtail.facts.paths import status

NAMES = ("digits", *SOURCES)
HUB = "hub:"
LABELS = "longtail labels"
"""The column for labels that are passed beside a frame."""


def pool(
    source: Any,
    labels: Any = None,
    *,
    label: str | None = None,
    classes: Sequence[str] | None = None,
    sample_weight: Any = None,
    name: str | None = None,
    **options: Any,
) -> Pool:
    """All rows of the data, labels known, nothing split and nothing fitted.

    Args:
        source: a folder of images (see `image_pool`), a .csv, .tsv or .parquet file or a folder of them (see
            `table_pool`), .npz with X and y, .npy beside a label file, "hub:owner/name", features or images as
            tensor, array or frame, a torch `Dataset` (see `dataset_pool`), or a `Pool`.
        labels: the labels, where `source` is features; for a frame also the name of its label column.
        label: the label column of a table, frame or metadata.csv, or the label file beside an .npy.
        classes: the class names in order, where the labels do not give it.
        sample_weight: one weight per example, or None.
        name: the name of the data in tables and folders.
        options: for tables, folders and the hub the columns `split`, `group` and `weight` (for arrays: arrays of one
            entry per row); for tables `drop_columns`, columns that are no features; for text files `delimiter` and
            `header`; for images `size`, `skip_bad`, `mirror`, `features` and `workers`.

    Raises:
        ValueError, TypeError: one line that names the argument, the rule, the value and the way out.
    """
    given = {k: v for k, v in {"label": label, **options}.items() if v is not None and v is not DEFAULTS.get(k)}
    if isinstance(source, Pool):
        refuse("data that are already read", (), given)
        return source if name is None else replace(source, name=name)
    if not isinstance(source, str | Path) and not _paths(source):
        return _in_memory(source, labels, given, classes, sample_weight, name)
    if labels is not None:
        raise TypeError(f"labels cannot go with {quoted(str(source))}, which has its own; name their column with label")
    if sample_weight is not None:
        raise TypeError(
            f"sample_weight is for data in memory, not for {quoted(str(source))}; name its column with weight"
        )
    kind, read = _reader(source)
    refuse(kind, ALLOWED[kind], given, str(source))
    return read(classes=classes, name=name, **given)


def _paths(source: Any) -> bool:
    return isinstance(source, list | tuple) and bool(source) and all(isinstance(s, Path) for s in source)


def _reader(source: Any) -> tuple[str, Callable[..., Pool]]:
    """The kind of the data at a path or on the hub, and the function that reads them."""
    if isinstance(source, str) and source.startswith(HUB):
        return "hub", partial(_hub, source.removeprefix(HUB))
    if isinstance(source, list | tuple):
        return "table", partial(table_pool, list(source))
    path = Path(source)
    if os.path.islink(path) and not os.path.exists(path):  # of a Path, a name too long for this system would raise
        status(path)  # says whether it leads back to itself or to nothing
    if path.suffix in array_files.SUFFIXES:
        return "array file", partial(_array_file, path)
    if is_table(path):
        return "table", partial(table_pool, path)
    if os.path.isdir(path):
        return "images", partial(_images, path)
    if os.path.exists(path):
        raise ValueError(
            f"data file {str(source)!r} ends in {path.suffix or 'nothing'}, which is not read; "
            "known are .csv, .tsv, .parquet, .npz and .npy, and folders of images")  # fmt: skip
    near = difflib.get_close_matches(str(source), NAMES, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known names: {', '.join(NAMES)}; or a path, or hub:owner/name"
    raise ValueError(f"data {str(source)!r} is neither a known name nor an existing file or folder; {hint}")


def _images(path: Path, *, classes: Any, name: str | None, mirror: bool = True, **options: Any) -> Pool:
    _no_classes(classes)
    return image_pool(path, name=name, augment=mirror, **options)


def _hub(repository: str, *, classes: Any, name: str | None, mirror: bool = True, **options: Any) -> Pool:
    _no_classes(classes)
    name = name or repository.rpartition("/")[2]
    return replace(hub_pool(repository, augment=mirror, table=table_pool, **options), name=name)


def _no_classes(classes: Any) -> None:
    if classes is not None:
        raise ValueError("classes are named by the data here; leave the argument out")


def _array_file(path: Path, *, classes: Any, name: Any, label: str | None = None, group: str | None = None) -> Pool:
    arrays = array_files.read(path, label, group)
    try:
        return _array_pool(path, arrays, classes, name)
    except (ValueError, TypeError) as error:  # about arrays, whatever file they come from
        message = str(error) if path.name in str(error) else f"{path.name}: {error}"
        raise (TypeError if isinstance(error, TypeError) else ValueError)(message) from None


def _array_pool(path: Path, arrays: dict[str, np.ndarray], classes: Any, name: str | None) -> Pool:
    suffixes = {"train": "", **{part: f"_{part}" for part in PARTS if f"X_{part}" in arrays}}
    # one set of names for all parts, wherever a class happens to occur
    labels = np.concatenate([np.asarray(arrays[f"y{suffix}"]).ravel() for suffix in suffixes.values()])
    if "classes" in arrays:
        classes = [str(c) for c in arrays["classes"]]
    elif classes is None and not (labels.dtype.kind in "biu" and labels.size == 0):
        classes = class_names(labels)
    parts = {part: examples(arrays[f"X{s}"], arrays[f"y{s}"], classes=classes) for part, s in suffixes.items()}
    train = parts["train"]
    shape = tuple(train.inputs.shape[1:])
    for part, rows in parts.items():
        if tuple(rows.inputs.shape[1:]) != shape:
            raise ValueError(
                f"the {part} part must have the features of the training part, got {tuple(rows.inputs.shape[1:])} "
                f"against {shape}; save the same columns"
            )
    weight = None
    if "sample_weight" in arrays:
        if len(parts) > 1:
            raise ValueError("sample_weight cannot go with a declared split; weigh rows in data without parts")
        weight = as_weight(arrays["sample_weight"], len(train))
    inputs = torch.cat([rows.inputs for rows in parts.values()]) if len(parts) > 1 else train.inputs
    targets = torch.cat([rows.targets for rows in parts.values()])
    return Pool(
        name or path.stem,
        Examples(inputs, targets, train.classes),
        targets,
        train.classes,
        parts=None if len(parts) == 1 else np.repeat(list(parts), [len(rows) for rows in parts.values()]),
        groups=_group_codes(arrays["group"]) if "group" in arrays else None,
        sample_weight=weight,
        preparation=_features(inputs),
        facts={"source": path.stem},
        origin=Origin(tuple((array_files.source_name(path, part), len(rows)) for part, rows in parts.items())),
    )


def _in_memory(
    source: Any, labels: Any, given: dict[str, Any], classes: Any, sample_weight: Any, name: str | None
) -> Pool:
    """Arrays, tensors and nested lists are features as they are; a frame is a table."""
    tensors = of_dataset(source)
    if tensors is not None:
        if labels is not None:
            raise TypeError("labels cannot be given beside a TensorDataset, which has its own; leave them out")
        source, labels = tensors
    if isinstance(source, Dataset):
        pool = _dataset_pool(source, labels, given, classes, name or type(source).__name__)
        return pool if sample_weight is None else replace(pool, sample_weight=as_weight(sample_weight, len(pool)))
    pool = (_frame_pool if is_frame(source) else _features_pool)(source, labels, given, classes, name or "data")
    return pool if sample_weight is None else replace(pool, sample_weight=as_weight(sample_weight, len(pool)))


def _dataset_pool(source: Any, labels: Any, given: dict[str, Any], classes: Any, name: str) -> Pool:
    refuse("a data set", ALLOWED["data set"], given)
    reading = {option: value for option, value in given.items() if option not in ("split", "group")}
    pool = dataset_pool(source, labels, classes=classes, name=name, **reading)
    return replace(pool, **_declared(given, len(pool)))


def _frame_pool(frame: Any, labels: Any, given: dict[str, Any], classes: Any, name: str) -> Pool:
    refuse("a frame", ALLOWED["frame"], given)
    if labels is not None and "label" in given:
        raise TypeError("labels and label name the labels twice; pass one of them")
    if isinstance(labels, str):
        given = {**given, "label": labels}
    elif labels is not None:
        given = {**given, "label": LABELS}
        column = np.asarray(labels)
        frame = frame.assign(**{LABELS: column[:, 0] if column.shape[1:] == (1,) else column})
    return table_pool(frame, name=name, classes=classes, **given)


def _features_pool(features: Any, labels: Any, given: dict[str, Any], classes: Any, name: str) -> Pool:
    refuse("arrays", ALLOWED["arrays"], given)
    if labels is None:
        raise TypeError("labels are missing; pass them as the second argument, or label= for a frame's column")
    rows = examples(features, labels, classes=classes)
    return Pool(
        name,
        rows,
        rows.targets,
        rows.classes,
        preparation=_features(rows.inputs),
        facts={"source": name},
        origin=Origin(((name, len(rows)),)),
        **_declared(given, len(rows)),
    )


def _declared(given: dict[str, Any], size: int) -> dict[str, Any]:
    """Return the parts and groups of rows, given as one entry per row."""
    for option in ("split", "group"):
        if option in given and (shape := np.shape(given[option])) != (size,):
            raise ValueError(f"{option} must have one entry per row, {size}, got shape {shape}; pass an array")
    return {
        "parts": np.asarray(given["split"]).astype(str) if "split" in given else None,
        "groups": _group_codes(given["group"]) if "group" in given else None,
    }


def _group_codes(values: Any) -> np.ndarray:
    return np.unique(np.asarray(values), return_inverse=True)[1].ravel().astype(np.int64)


def _features(inputs: torch.Tensor) -> FeaturePreparation:
    return FeaturePreparation(tuple(inputs.shape[1:]), str(inputs.dtype).removeprefix("torch."))
