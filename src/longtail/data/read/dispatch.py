"""Everything that is read from outside, by kind: files, folders, the hub, arrays and frames become a `Pool`."""

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

from longtail.data.origin import Origin
from longtail.data.pool import PARTS, Pool
from longtail.data.prepare.images import FeaturePreparation
from longtail.data.read import array_files as files
from longtail.data.read.arrays import as_weight, examples, is_frame, of_dataset
from longtail.data.read.cifar import SOURCES
from longtail.data.read.hub import hub_pool
from longtail.data.read.images.image_folder import image_pool
from longtail.data.read.options import ALLOWED, DEFAULTS, refuse
from longtail.data.read.tables.sources import is_table
from longtail.data.read.tables.table_pool import table_pool
from longtail.data.rows import Examples
from longtail.facts.counts import class_names
from longtail.facts.messages import quoted
from longtail.facts.paths import regular, status

NAMES = ("digits", *SOURCES)
HUB = "hub:"
LABELS = "longtail labels"
"""The column that labels passed beside a frame stand in."""


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
            tensor, array or frame, or a `Pool`.
        labels: the labels, where `source` is features; for a frame also the name of its label column.
        label: the label column of a table, frame or metadata.csv, or the label file beside an .npy.
        classes: the class names in order, where the labels do not tell.
        sample_weight: one weight per example, or None.
        name: what tables and folders call it.
        options: for tables, folders and the hub the columns `split`, `group` and `weight` (for arrays: arrays of one
            entry per row); for tables `drop_columns`, columns that are
            no features; for text files `delimiter` and `header`; for images `size`, `skip_bad`, `mirror`,
            `features` and `workers`.

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
    """The kind of what stands at a path or on the hub, and how to read it."""
    if isinstance(source, str) and source.startswith(HUB):
        return "hub", partial(_hub, source.removeprefix(HUB))
    if isinstance(source, list | tuple):
        return "table", partial(table_pool, list(source))
    path = Path(source)
    if os.path.islink(path) and not os.path.exists(path):  # of a Path, a name too long for this system would raise
        status(path)  # says whether it leads back to itself or to nothing
    if path.suffix in files.SUFFIXES:
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
    arrays = files.read(regular(path), label)
    try:
        return _array_pool(path, arrays, classes=classes, name=name, group=group)
    except (ValueError, TypeError) as error:  # said of arrays, whatever file they come from
        said = str(error) if path.name in str(error) else f"{path.name}: {error}"
        raise (TypeError if isinstance(error, TypeError) else ValueError)(said) from None


def _array_pool(path: Path, arrays: dict[str, np.ndarray], *, classes: Any, name: str | None, group: Any) -> Pool:
    parts = [p for p in PARTS if p == "train" or f"X_{p}" in arrays]
    keys = {p: ("X", "y") if p == "train" else (f"X_{p}", f"y_{p}") for p in parts}
    # one set of names for all parts, wherever a class happens to occur
    every = np.concatenate([np.asarray(arrays[y]).ravel() for _, y in keys.values()])
    if "classes" in arrays:
        classes = [str(c) for c in arrays["classes"]]
    elif classes is None and not (every.dtype.kind in "biu" and every.size == 0):
        classes = class_names(every)
    made = {p: examples(arrays[x], arrays[y], classes=classes) for p, (x, y) in keys.items()}
    shape = tuple(made["train"].inputs.shape[1:])
    for part, rows in made.items():
        if (own := tuple(rows.inputs.shape[1:])) != shape:
            differs = f"got {own} against {shape}; save the same columns"
            raise ValueError(f"the {part} part must have the features of the training part, {differs}")
    weight = None
    if "sample_weight" in arrays:
        if len(made) > 1:
            raise ValueError("sample_weight cannot go with a declared split; weigh rows in data without parts")
        weight = as_weight(arrays["sample_weight"], len(made["train"]))
    if group is not None and group not in arrays:
        raise ValueError(f"group must be an array of {path.name}, got {group!r}; save it beside X and y")
    inputs = torch.cat([rows.inputs for rows in made.values()]) if len(made) > 1 else made["train"].inputs
    targets = torch.cat([rows.targets for rows in made.values()])
    return Pool(
        name or path.stem,
        Examples(inputs, targets, made["train"].classes),
        targets,
        made["train"].classes,
        parts=None if len(made) == 1 else np.repeat(list(made), [len(rows) for rows in made.values()]),
        groups=None if group is None else _codes(arrays[group]),
        sample_weight=weight,
        preparation=_features(inputs),
        facts={"source": path.stem},
        origin=Origin(tuple((files.array_name(path, p), len(rows)) for p, rows in made.items())),
    )


def _in_memory(
    source: Any, labels: Any, given: dict[str, Any], classes: Any, sample_weight: Any, name: str | None
) -> Pool:
    """Arrays, tensors and nested lists are features as they are; a frame is a table."""
    name = name or "data"
    tensors = of_dataset(source)
    if tensors is not None:
        if labels is not None:
            raise TypeError("labels cannot be given beside a TensorDataset, which has its own; leave them out")
        source, labels = tensors
    if is_frame(source):
        refuse("a frame", ALLOWED["frame"], given)
        if labels is not None and "label" in given:
            raise TypeError("labels and label name the labels twice; pass one of them")
        if isinstance(labels, str):
            given, labels = {**given, "label": labels}, None
        if labels is not None:
            given = {**given, "label": LABELS}
            column = np.asarray(labels)
            source = source.assign(**{LABELS: column[:, 0] if column.shape[1:] == (1,) else column})
        found = table_pool(source, name=name, classes=classes, **given)
    else:
        refuse("arrays", ALLOWED["arrays"], given)
        if labels is None:
            raise TypeError("labels are missing; pass them as the second argument, or label= for a frame's column")
        rows = examples(source, labels, classes=classes)
        found = Pool(
            name,
            rows,
            rows.targets,
            rows.classes,
            parts=_column(given, "split", len(rows)),
            groups=None if "group" not in given else _codes(_column(given, "group", len(rows))),
            preparation=_features(rows.inputs),
            facts={"source": name},
            origin=Origin(((name, len(rows)),)),
        )
    return found if sample_weight is None else replace(found, sample_weight=as_weight(sample_weight, len(found)))


def _column(given: dict[str, Any], option: str, size: int) -> np.ndarray | None:
    if option not in given:
        return None
    values = np.asarray(given[option])
    if values.shape != (size,):
        raise ValueError(f"{option} must have one entry per row, {size}, got shape {values.shape}; pass an array")
    return values.astype(str) if option == "split" else values


def _codes(values: Any) -> np.ndarray:
    return np.unique(np.asarray(values), return_inverse=True)[1].ravel().astype(np.int64)


def _features(inputs: torch.Tensor) -> FeaturePreparation:
    return FeaturePreparation(tuple(inputs.shape[1:]), str(inputs.dtype).removeprefix("torch."))
