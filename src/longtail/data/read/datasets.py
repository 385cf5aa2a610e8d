"""Read a map-style torch data set, row -> (inputs, label), as a pool: in memory where it fits, else row by row."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from longtail.data.label_kinds import unlabeled as no_labels
from longtail.data.mapped import MappedExamples
from longtail.data.pool import Pool
from longtail.data.prepare.images import ImagePreparation
from longtail.data.read.array_labels import ArrayLabels, is_same, row_labels, unlabelled_inputs
from longtail.data.read.dataset_rows import DatasetRows, is_image, pair
from longtail.data.read.images.labelled_images import ImageReader
from longtail.data.read.images.memory import bytes_fit
from longtail.data.read.row_pool import declared, feature_preparation, row_pool
from longtail.data.rows import Examples
from longtail.facts.labels import labels_and_names
from longtail.facts.messages import quoted

CHUNK = 512
"""Rows read at a time."""
TRIED = 16
"""Rows that are read twice, to see whether the data set changes them at random."""


def dataset_pool(
    dataset: Dataset[Any],
    labels: Any = None,
    classes: Sequence[str] | None = None,
    sample_weight: Tensor | None = None,
    name: str = "data",
    *,
    mirror: bool = True,
    unlabeled: Any = None,
    candidates: Any = None,
    **given: Any,
) -> Pool:
    """Read a data set whose labels are known without reading its inputs.

    Tensors and arrays are used as they are; images of Pillow are decoded and, in training, shifted and mirrored, as
    those of an image folder are. All rows are read once: into memory where they take at most a quarter of it, else to
    check them and for the hash of the data.

    Args:
        dataset: row -> (inputs, label), with its labels in `targets` or `labels`: class indices or names, or candidate
            sets (N, C) bool; or a `Subset` or `ConcatDataset` of such.
        labels: the labels, where the data set has none that can be read alone.
        classes: the class names in order, where the data set has no `classes`.
        sample_weight: (N,), or None.
        name: of the data.
        mirror: whether images are shifted and mirrored in training.
        unlabeled: "same" where labels of the data set are missing (-1, ""); or a data set of such inputs without
            labels (any that it has are not used), an array, or the path of one.
        candidates: (N, C) bool in place of the labels, or what separates the names in each label.
        given: group and split, (N,); size, workers and share, as in `ImageReader`.

    Raises:
        TypeError: an `IterableDataset`, a data set without length or labels, rows that are no (inputs, label).
        ValueError: another number of labels, rows of several shapes, or rows that change from one reading to the next.
    """
    columns: dict[str, Any] = {option: given.pop(option) for option in ("group", "split") if option in given}
    reader, length = ImageReader(augment=mirror, **given), check_map_style(dataset)
    known = _labels(dataset, labels, classes, candidates, unlabeled)
    if len(known.targets) != length:
        raise ValueError(
            f"data must have one label per row, {length}, got {len(known.targets)}; pass those of all rows"
        )
    images = is_image(_first_inputs(dataset))
    own = DatasetRows(dataset, known.classes, reader.size)
    files: tuple[tuple[str, int], ...] = ((name, length),)
    if unlabeled is not None and not is_same(unlabeled):
        further, source = _further(unlabeled, own, images)
        own, files = replace(own, further=further), (*files, (source, len(further)))
        known = known.followed_by(len(further))
    if known.targets.ndim == 2:
        own = replace(own, targets=torch.full((length,), -1))
    elif labels is not None:
        own = replace(own, targets=known.targets)
    mapped = MappedExamples(
        own,
        no_labels(len(own)) if known.missing.any() else known.targets,
        known.classes,
        identity="not read",
        workers=reader.workers,
        augment=reader.augmentation() if images else None,
    )
    _refuse_random(mapped, ((0, length), (length, len(own) - length)))
    facts: dict[str, Any] = {"source": name}
    if images:
        facts |= {"size": reader.size, "augment": mapped.augment is not None}
    (first,) = mapped.read([torch.tensor([0])])
    pool = row_pool(
        name, mapped, known, files, unlabeled, **declared(columns, length), sample_weight=sample_weight,
        preparation=ImagePreparation(reader.size) if images else feature_preparation(first), facts=facts,
        notes=(f"images are {reader.size} x {reader.size}, the longer side cropped",) if images else (),
        separator=candidates if isinstance(candidates, str) else None,
    )  # fmt: skip
    return _read(pool, in_memory=bytes_fit(len(own) * first.nbytes, reader.share))


def check_map_style(dataset: Any) -> int:
    """Return the number of rows of a map-style data set.

    Raises:
        TypeError: an `IterableDataset`, or a data set without length.
    """
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        kind = "an IterableDataset" if isinstance(dataset, IterableDataset) else "a data set without __len__"
        raise TypeError(
            f"data must be a map-style data set, row -> (inputs, label), got {type(dataset).__name__}, {kind}; "
            "collect its rows as tensors, and pass TensorDataset(X, y)"
        )
    return len(dataset)


def is_sets(labels: Any) -> bool:
    """Return whether labels are truth values (N, C): candidate sets."""
    return isinstance(labels, Tensor | np.ndarray) and labels.ndim == 2 and labels.dtype in (torch.bool, np.bool_)


def _labels(dataset: Any, labels: Any, classes: Any, candidates: Any, unlabeled: Any) -> ArrayLabels:
    """Return the labels of a data set, or what is given in their place."""
    if labels is None and (candidates is None or isinstance(candidates, str)):
        labels, names = labels_and_names(dataset)
        classes = names if classes is None else classes
        if candidates is None and is_sets(labels):
            labels, candidates = None, labels
    elif labels is None and classes is None:
        classes = getattr(dataset, "classes", None)
    return row_labels(labels, classes, candidates, unlabeled)


def _first_inputs(dataset: Any) -> Any:
    """Return the inputs of the first row."""
    with torch.random.fork_rng(devices=[]):
        try:
            return pair(dataset[0])[0]
        except Exception as error:  # whatever the data set's code raises
            reason = (str(error).splitlines() or [""])[0][:120]
            raise ValueError(
                f"row 0 of {type(dataset).__name__} cannot be read ({type(error).__name__}: {reason}); "
                "data must be row -> (inputs, label)"
            ) from error


def _further(unlabeled: Any, own: DatasetRows, images: bool) -> tuple[Any, str]:
    """Return a data set of rows without labels, and its name."""
    if isinstance(unlabeled, Dataset):
        if check_map_style(unlabeled) == 0:
            raise ValueError(
                f"unlabeled must have a row, got a {type(unlabeled).__name__} of none; leave it out, or add rows"
            )
        return unlabeled, type(unlabeled).__name__
    if images:
        raise TypeError(
            f"unlabeled must be a data set of images, as the labelled rows are, got {quoted(unlabeled)}; pass one"
        )
    rest, source = unlabelled_inputs(unlabeled, own[0][0][None])
    return TensorDataset(rest), source


def _refuse_random(rows: MappedExamples, blocks: Sequence[tuple[int, int]]) -> None:
    """Raise ValueError where the first rows of a block of them, (start, count), change between two readings."""
    order = [torch.cat([start + torch.arange(min(TRIED, count)) for start, count in blocks])]
    here = replace(rows, workers=0)
    with torch.random.fork_rng(devices=[]):
        (once,) = here.read(order)
        torch.rand(1)  # each reading starts from the generator as it is
        (again,) = here.read(order)
    if not torch.equal(once, again):
        raise ValueError(
            "data must give the same inputs whenever a row is read, got others the second time; leave random changes "
            "out of the transform"
        )


def _read(pool: Pool, *, in_memory: bool) -> Pool:
    """Read all rows once, those without labels too: into memory, or for their hash as identity."""
    rows, rest = pool.rows, pool.unlabeled
    assert isinstance(rows, MappedExamples)
    read: Examples | MappedExamples
    if in_memory:
        inputs = torch.cat(list(rows.chunks(CHUNK)))
        read = Examples(inputs, rows.targets, rows.classes, rows.sample_weight, augment=rows.augment)
    else:
        digest = hashlib.sha256()
        for part in rows.chunks(CHUNK):
            digest.update(part.numpy().data)
        read = replace(rows, identity=digest.hexdigest())
    return replace(pool, rows=read, unlabeled=None if rest is None else _read(rest, in_memory=in_memory))
