"""Read a map-style torch data set, row -> (inputs, label), as a pool: in memory where it fits, else row by row."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from longtail.data.mapped import MappedExamples
from longtail.data.origin import Origin
from longtail.data.pool import Pool
from longtail.data.prepare.images import FeaturePreparation, ImagePreparation
from longtail.data.prepare.preparation import Preparation
from longtail.data.read.arrays import as_inputs
from longtail.data.read.images.labelled_images import ImageReader
from longtail.data.read.images.memory import bytes_fit
from longtail.data.read.images.pixels import pixels, quiet
from longtail.data.rows import Examples
from longtail.facts.counts import encode

CHUNK = 512
"""Rows read at a time."""
TRIED = 16
"""Rows that are read twice, to see whether the data set changes them at random."""


@dataclass(frozen=True)
class DatasetRows:
    """row -> (inputs as a tensor, class index) of a data set whose inputs are tensors, arrays or images of Pillow.

    Args:
        dataset: row -> (inputs, label).
        classes: the C class names, for labels that are names.
        size: height and width of images in pixels.
        targets: (N,) class indices in place of the data set's labels, or None.
    """

    dataset: Any
    classes: tuple[str, ...]
    size: int
    targets: Tensor | None = None

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        inputs, label = pair(self.dataset[row])
        target = self._index(label) if self.targets is None else int(self.targets[row])
        if is_image(inputs):
            with quiet():
                return torch.from_numpy(pixels(inputs, self.size)).permute(2, 0, 1).contiguous(), target
        if not isinstance(inputs, Tensor | np.ndarray):
            raise TypeError(f"its inputs are a {type(inputs).__name__}, no tensor, array or image")
        try:
            return as_inputs(inputs[None])[0], target
        except (ValueError, IndexError):
            shape = tuple(inputs.shape)
            raise ValueError(f"inputs {shape} are not (D,), (H, W), (1, H, W) or (3, H, W)") from None

    def _index(self, label: Any) -> int:
        if isinstance(label, str):
            return self.classes.index(label) if label in self.classes else -1
        if np.ndim(label) > 0:
            raise TypeError(f"its label has shape {tuple(np.shape(label))}, it is not one class")
        return int(label)


def pair(row: Any) -> tuple[Any, Any]:
    """Return inputs and label of a row; TypeError where it is something else."""
    if not isinstance(row, tuple | list) or len(row) != 2:
        what = f"a {type(row).__name__}" + (f" of {len(row)}" if isinstance(row, tuple | list) else "")
        raise TypeError(f"it is {what}, not (inputs, label)")
    return row[0], row[1]


def is_image(inputs: Any) -> bool:
    """Whether inputs are an image of Pillow, by its attributes, so that Pillow need not be installed."""
    return hasattr(inputs, "getexif")


def dataset_pool(
    dataset: Dataset[Any],
    labels: Any = None,
    *,
    classes: Sequence[str] | None = None,
    name: str = "data",
    mirror: bool = True,
    **reading: Any,
) -> Pool:
    """Read a data set whose labels are known without reading its inputs.

    Tensors and arrays are used as they are; images of Pillow are decoded and, in training, shifted and mirrored, as
    those of an image folder are. All rows are read once: into memory where they take at most a quarter of it, else to
    check them and for the hash of the data.

    Args:
        dataset: row -> (inputs, label), with its labels in `targets` or `labels`; or a `Subset` of such.
        labels: the labels, where the data set has none that can be read alone.
        classes: the class names in order, where the data set has no `classes`.
        name: of the data.
        mirror: whether images are shifted and mirrored in training.
        reading: size, workers and share, as in `ImageReader`.

    Raises:
        TypeError: an `IterableDataset`, a data set without length or labels, rows that are no (inputs, label).
        ValueError: another number of labels, rows of several shapes, or rows that change from one reading to the next.
    """
    reader = ImageReader(augment=mirror, **reading)
    length = _length(dataset)
    indices, names = encode(dataset if labels is None else labels, classes)
    if len(indices) != length:
        raise ValueError(f"data must have one label per row, {length}, got {len(indices)}; pass those of all rows")
    targets, known = torch.from_numpy(indices), tuple(names)
    images = _holds_images(dataset)
    own = DatasetRows(dataset, known, reader.size, None if labels is None else targets)
    augment = reader.augmentation() if images else None
    mapped = MappedExamples(own, targets, known, identity="not read", workers=reader.workers, augment=augment)
    _refuse_random(mapped)
    preparation: Preparation = ImagePreparation(reader.size)
    facts: dict[str, Any] = {"source": name, "size": reader.size, "augment": augment is not None}
    notes = [f"images are {reader.size} x {reader.size}, the longer side cropped"]
    if not images:
        (first,) = mapped.read([torch.tensor([0])])
        preparation = FeaturePreparation(mapped.input_shape, str(first.dtype).removeprefix("torch."))
        facts, notes = {"source": name}, []
    return Pool(
        name, _read(mapped, reader.share), targets, known, preparation=preparation, facts=facts, notes=tuple(notes),
        origin=Origin(((name, length),)),
    )  # fmt: skip


def _length(dataset: Any) -> int:
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        kind = "an IterableDataset" if isinstance(dataset, IterableDataset) else "a data set without __len__"
        raise TypeError(
            f"data must be a map-style data set, row -> (inputs, label), got {type(dataset).__name__}, {kind}; "
            "collect its rows as tensors, and pass TensorDataset(X, y)"
        )
    return len(dataset)


def _holds_images(dataset: Any) -> bool:
    """Whether the inputs of the first row are an image of Pillow."""
    with torch.random.fork_rng(devices=[]):
        try:
            return is_image(pair(dataset[0])[0])
        except Exception as error:  # whatever the data set's code raises
            reason = (str(error).splitlines() or [""])[0][:120]
            raise ValueError(
                f"row 0 of {type(dataset).__name__} cannot be read ({type(error).__name__}: {reason}); "
                "data must be row -> (inputs, label)"
            ) from error


def _refuse_random(rows: MappedExamples) -> None:
    order, here = [torch.arange(min(TRIED, len(rows)))], replace(rows, workers=0)
    with torch.random.fork_rng(devices=[]):
        (once,) = here.read(order)
        torch.rand(1)  # each reading starts from the generator as it is
        (again,) = here.read(order)
    if not torch.equal(once, again):
        raise ValueError(
            "data must give the same inputs whenever a row is read, got others the second time; leave random changes "
            "out of the transform"
        )


def _read(rows: MappedExamples, share: float) -> Examples | MappedExamples:
    """Read all rows: return them in memory where they fit, else with their hash as identity."""
    (first,) = rows.read([torch.tensor([0])])
    if bytes_fit(len(rows) * first.nbytes, share):
        return Examples(torch.cat(list(rows.chunks(CHUNK))), rows.targets, rows.classes, augment=rows.augment)
    digest = hashlib.sha256()
    for part in rows.chunks(CHUNK):
        digest.update(part.numpy().data)
    return replace(rows, identity=digest.hexdigest())
