"""The preparation of a model that was trained on what a backbone makes of images: new images -> features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from longtail.data.prepare.images import encoded, image_paths, skipped_rows
from longtail.data.prepare.preparation import Read
from longtail.data.read.backbone import backbone, embed, pooling
from longtail.data.read.images.pixels import RULES
from longtail.facts.messages import quoted

RULES_OF = {"rules": RULES, "pooling_rules": pooling.RULES}


@dataclass(frozen=True)
class BackbonePreparation:
    """Images -> (N, D) float32, by the backbone that the images of training went through.

    Args:
        path: where the backbone was, or is now; looked up when images are to be embedded.
        checksum: of its files, which must be the same.
        pooling: which output the features are, in words.
        features: D.
        device: where to embed; no part of the preparation.
    """

    path: str
    checksum: str
    pooling: str
    features: int
    device: str = field(default="cpu", compare=False)

    kind = "backbone"

    def paths(self, folder: str | Path) -> list[str]:
        """The relative paths of the images below a folder, sorted; at any depth, labels or none."""
        return image_paths(folder)

    def at(self, path: str | Path, device: str = "cpu") -> BackbonePreparation:
        """Return the same with the backbone in another folder.

        Raises:
            ValueError: no backbone, or another one.
        """
        moved = replace(self, path=str(Path(path).resolve()), device=device)
        moved.check()
        return moved

    def check(self) -> None:
        """Raise ValueError where the backbone is absent or another one."""
        if not Path(self.path).is_dir():
            raise ValueError(
                f"the model's backbone (--backbone) was in {quoted(self.path)}, which is no folder now; name the one "
                "that it is in"
            )
        found = backbone(self.path, self.device).checksum
        if found != self.checksum:
            raise ValueError(
                f"backbone (--backbone) {quoted(self.path)} is not the one that the model was trained with: its files' "
                f"checksum is {found[:12]}, in training {self.checksum[:12]}; name the folder of that one"
            )

    def __call__(self, raw: Any) -> Tensor:
        """The features of these images; see `read`."""
        return self.read(raw).inputs

    def read(self, raw: Any, *, skip_bad: bool = False) -> Read:
        """The same with the images' names.

        Args:
            raw: a folder, the path of an image, a list of paths or of opened images, a uint8 array (N, H, W, 3); or
                floating-point features (N, D) of this backbone, taken as they are.
            skip_bad: leave out images that cannot be decoded, with the reason in `skipped`, unless these are all.

        Raises:
            ValueError: an image that cannot be decoded; a backbone that is absent or another; features of another size.
            TypeError: something else.
        """
        if isinstance(raw, Tensor | np.ndarray):
            array = raw.detach().cpu().numpy() if isinstance(raw, Tensor) else raw
            if array.ndim == 2 and array.dtype.kind == "f":
                return Read(self._given(array))
            return replace(self.read(_opened(array)), names=None)
        self.check()
        images = encoded(raw)
        made = embed(images, backbone(self.path, self.device), skip_bad=True)
        made.checked(skip_bad, "predictions(..., skip_bad=True)")
        return Read(made.features, tuple(images.names), skipped_rows(made.rows, made.bad, len(images.names)))

    def to_json(self) -> dict[str, Any]:
        """Kind, the backbone's folder and checksum, what its features are, and the numbers of the rules."""
        return {
            "kind": self.kind, "path": self.path, "checksum": self.checksum, "pooling": self.pooling,
            "features": self.features, **RULES_OF,
        }  # fmt: skip

    def blobs(self) -> dict[str, bytes]:
        """No further files: the backbone stays where it is."""
        return {}

    @classmethod
    def from_json(cls, description: dict[str, Any], blobs: Mapping[str, bytes]) -> Self:
        """Restore what `to_json` returned; whether the backbone is there is checked when images come.

        Raises:
            ValueError: decoding or pooling rules of another version.
        """
        for name, rules in RULES_OF.items():
            if description.get(name) != rules:
                raise ValueError(
                    f"preparation must follow {name.replace('_', ' ')} {rules}, got {description.get(name)!r}; predict "
                    "with the version of longtail that trained the model"
                )
        path, checksum, words = (str(description[name]) for name in ("path", "checksum", "pooling"))
        return cls(path, checksum, words, int(description["features"]))

    def _given(self, array: np.ndarray) -> Tensor:
        if array.shape[1] != self.features or not np.isfinite(array).all():
            raise ValueError(
                f"features must be finite and {self.features} a row, as the backbone makes them, got {array.shape[1]}; "
                "pass images"
            )
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def _opened(array: np.ndarray) -> list[Any]:
    """Return the images of a uint8 array (N, H, W, 3) as Pillow has them."""
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] != 3 or not len(array):
        raise ValueError(
            f"images must be files, opened images or a uint8 array (N, H, W, 3), got {array.dtype} {array.shape}; "
            "pass a folder"
        )
    from PIL import Image

    return [Image.fromarray(one) for one in array]
