"""The preparation of a model that was trained on images or on features: new rows -> its input tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from longtail.data.prepare.preparation import Read
from longtail.data.read.arrays import as_inputs
from longtail.data.read.images.decode import EncodedImages, decode
from longtail.data.read.images.embeddings import stored
from longtail.data.read.images.file_tree import scan
from longtail.data.read.images.pixels import RULES

SMALLEST, LARGEST = 4, 1024


def check_size(size: Any) -> int:
    """Check a size in pixels to which images can be resized."""
    if isinstance(size, bool) or not isinstance(size, int) or not SMALLEST <= size <= LARGEST:
        raise ValueError(f"size must be an integer in [{SMALLEST}, {LARGEST}] pixels, got {size!r}; try 32")
    return size


@dataclass(frozen=True)
class ImagePreparation:
    """Images -> (N, 3, size, size) uint8, by the same rules as the images of training."""

    size: int

    kind = "images"

    def __post_init__(self) -> None:
        check_size(self.size)

    def paths(self, folder: str | Path) -> list[str]:
        """The relative paths of the images below a folder, sorted; at any depth, labels or none."""
        return image_paths(folder)

    def __call__(self, raw: Any) -> Tensor:
        """The inputs of these images.

        Args:
            raw: a folder (in the order of `paths`), the path of an image, a list of paths or of opened images, or
                a uint8 array or tensor (N, S, S, 3), (N, S, S) or (N, 3, S, S) of this very size.

        Raises:
            ValueError: an image that cannot be decoded, named; an array of another size, dtype or number of channels.
            TypeError: something else.
        """
        return self.read(raw).inputs

    def read(self, raw: Any, *, skip_bad: bool = False) -> Read:
        """The same with the images' names: paths as given, those in a folder relative to it; none of an array.

        Args:
            raw: as above.
            skip_bad: leave out images that cannot be decoded, with the reason in `skipped`, unless these are all.
        """
        if isinstance(raw, Tensor | np.ndarray):
            return Read(self._array(raw))
        images = encoded(raw)
        decoded = decode(images, self.size, skip_bad=True).checked(skip_bad, "predictions(..., skip_bad=True)")
        return Read(decoded.images, tuple(images.names), skipped_rows(decoded.rows, decoded.bad, len(images.names)))

    def to_json(self) -> dict[str, Any]:
        """Kind, size and the number of the rules."""
        return {"kind": self.kind, "size": self.size, "rules": RULES}

    def blobs(self) -> dict[str, bytes]:
        """No further files."""
        return {}

    @classmethod
    def from_json(cls, description: dict[str, Any], blobs: Mapping[str, bytes]) -> Self:
        """Restore what `to_json` returned.

        Raises:
            ValueError: decoding rules of another version.
        """
        if description.get("rules") != RULES:
            raise ValueError(
                f"preparation must follow decoding rules {RULES}, got {description.get('rules')!r}; "
                "predict with the version of longtail that trained the model"
            )
        return cls(check_size(description.get("size")))

    def _array(self, raw: Tensor | np.ndarray) -> Tensor:
        images = raw.detach().cpu() if isinstance(raw, Tensor) else torch.from_numpy(_plain(raw))
        size = self.size
        if images.dtype != torch.uint8:
            raise ValueError(f"images must be uint8 in [0, 255], got {images.dtype}; convert them as they were decoded")
        if images.ndim == 3:
            images = images[..., None]
        if images.ndim == 4 and images.shape[1:3] == (size, size) and images.shape[3] in (1, 3):
            images = images.permute(0, 3, 1, 2)
        if images.ndim != 4 or images.shape[2:] != (size, size) or images.shape[1] not in (1, 3):
            raise ValueError(
                f"images must have shape (N, {size}, {size}, 3), (N, {size}, {size}) or (N, 3, {size}, {size}), "
                f"got {tuple(raw.shape)}; pass files, which are resized, or resize them"
            )
        return images.expand(-1, 3, -1, -1).contiguous()


def image_paths(folder: str | Path) -> list[str]:
    """Return the relative paths of the images below a folder, sorted; at any depth, labels or none."""
    images = list(scan(folder).images)
    if not images:
        raise ValueError(f"folder {str(folder)!r} holds no image; check the path")
    return images


def encoded(raw: Any) -> EncodedImages:
    """Return new images with their names: of a folder, one image, or a list of paths or opened images.

    Raises:
        ValueError, TypeError: a file that is not there; something else.
    """
    if isinstance(raw, str | Path) and Path(raw).is_dir():
        paths = image_paths(raw)
        return EncodedImages([Path(raw, path) for path in paths], paths)
    if isinstance(raw, str | Path) or hasattr(raw, "getexif"):  # one image, perhaps one that Pillow has opened
        raw = [raw]
    if isinstance(raw, Sequence) and len(raw):
        return _listed(list(raw))
    raise TypeError(
        f"images must be a folder, a list of paths or opened images, or a uint8 array, got {type(raw).__name__}"
    )


def _listed(sources: list[Any]) -> EncodedImages:
    odd = [s for s in sources if not (isinstance(s, str | Path) or hasattr(s, "getexif"))]
    if odd:
        raise TypeError(f"a list of images must hold paths or opened images, got {type(odd[0]).__name__}")
    missing = [str(s) for s in sources if isinstance(s, str | Path) and not Path(s).is_file()]
    if missing:
        raise ValueError(f"image {missing[0]!r} is not a file; check the path")
    return EncodedImages(
        sources, [str(s) if isinstance(s, str | Path) else f"image {i}" for i, s in enumerate(sources)]
    )


def skipped_rows(good: Tensor, bad: Sequence[tuple[str, str]], count: int) -> dict[int, str]:
    """Return row -> what is wrong with it, of `count` rows of which these are good."""
    readable = set(good.tolist())
    rows = [row for row in range(count) if row not in readable]
    return dict(zip(rows, (why for _, why in bad), strict=True))


def _plain(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        raise TypeError(f"images must be uint8 numbers, got an array of {array.dtype}; pass a list of paths as a list")
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return np.ascontiguousarray(native if native.dtype.itemsize == 1 else native.astype(np.float64))


@dataclass(frozen=True)
class FeaturePreparation:
    """Arrays -> the tensor (N, *shape) of `dtype` that a model was trained on.

    `shape` is that of one input, channels first: (D,), (1, H, W) or (3, H, W); `dtype` is "float32" or "uint8".
    """

    shape: tuple[int, ...]
    dtype: str

    kind = "features"

    def __call__(self, raw: Any) -> Tensor:
        """The inputs of an array, tensor or numeric frame, or of X in an .npz, or of an .npy.

        Raises:
            ValueError, TypeError: no such file, pickled objects, another shape or dtype, NaN or infinity.
        """
        inputs = as_inputs(stored(raw)[0] if isinstance(raw, str | Path) else raw)
        if tuple(inputs.shape[1:]) != self.shape:
            raise ValueError(
                f"features must be of shape {self.shape} each, as in training, got {tuple(inputs.shape[1:])}; "
                "pass the same columns or images of the same size"
            )
        dtype = str(inputs.dtype).removeprefix("torch.")
        if dtype != self.dtype:
            raise ValueError(f"features must be {self.dtype}, as in training, got {dtype}; convert them likewise")
        if inputs.is_floating_point() and not bool(torch.isfinite(inputs).all()):
            raise ValueError("features must be finite, got NaN or infinity; impute or leave out these rows")
        return inputs

    def to_json(self) -> dict[str, Any]:
        """Kind, shape and dtype."""
        return {"kind": self.kind, "shape": list(self.shape), "dtype": self.dtype}

    def blobs(self) -> dict[str, bytes]:
        """No further files."""
        return {}

    @classmethod
    def from_json(cls, description: dict[str, Any], blobs: Mapping[str, bytes]) -> Self:
        """Restore what `to_json` returned."""
        return cls(tuple(int(size) for size in description["shape"]), str(description["dtype"]))
