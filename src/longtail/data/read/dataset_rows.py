"""Rows of a torch data set as tensors and class indices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.data.read.arrays import as_inputs
from longtail.data.read.images.pixels import pixels, quiet


@dataclass(frozen=True)
class DatasetRows:
    """row -> (inputs as a tensor, class index) of a data set whose inputs are tensors, arrays or images of Pillow.

    Args:
        dataset: row -> (inputs, label).
        classes: the C class names, for labels that are names.
        size: height and width of images in pixels.
        targets: (N,) class indices in place of the data set's labels, or None.
        further: row -> inputs, or a tuple that begins with them: rows without labels, which follow those of `dataset`.
    """

    dataset: Any
    classes: tuple[str, ...]
    size: int
    targets: Tensor | None = None
    further: Any = None

    def __len__(self) -> int:
        return len(self.dataset) + (0 if self.further is None else len(self.further))

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        if row >= len(self.dataset):
            value = self.further[row - len(self.dataset)]
            inputs, target = value[0] if isinstance(value, tuple | list) else value, -1
        else:
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
        if label is None:
            return -1
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
