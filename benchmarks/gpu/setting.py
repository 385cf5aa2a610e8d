"""What all sections share: the device, the data, the recipe, and the size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import cifar_file
from longtail.data import Examples, Splits
from longtail.data.prepare.images import ImagePreparation
from longtail.data.read.cifar import SIZE
from longtail.data.views import CropFlip
from longtail.engine import Recipe
from longtail.engine.default_recipe import default_recipe

Result = dict[str, Any]


class NotMeasuredError(Exception):
    """Why something is not measured here; no failure."""


@dataclass(frozen=True)
class Setting:
    """Where and on what to measure; `small` is a smoke test: a few random images, one epoch."""

    device: str
    data: Path | None
    small: bool = False

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.startswith("cuda")

    @property
    def start(self) -> str:
        """How processes begin: CUDA cannot be forked, and a fork need not import again."""
        return "spawn" if self.on_gpu else "fork"

    def splits(self) -> Splits:
        """Return CIFAR-10-LT from the file; in a smoke test without one, random images."""
        if self.data is not None:
            return cifar_file.read(self.data)
        if not self.small:
            raise NotMeasuredError("no --data FILE; python -m benchmarks.export_cifar --out FILE.npz writes it")
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (60, 3, SIZE, SIZE), dtype=torch.uint8, generator=generator)
        names = tuple(f"class {j}" for j in range(10))
        train = Examples(images[:40], torch.arange(40) % 10, names, augment=CropFlip())
        test = Examples(images[40:], torch.arange(20) % 10, names)
        return Splits("cifar10", train, test, facts={"source": "cifar10"}, preparation=ImagePreparation(SIZE))

    def recipe(self, splits: Splits, **changes: Any) -> Recipe:
        """Return the recipe of the LDAM code with these changes; None leaves a field as it is."""
        batch = {"batch_size": 20} if self.small else {}
        return default_recipe(splits, **{**batch, **changes})


Section = Callable[[Setting], Iterator[Result]]
"""Yields parts of its result as they become known; they are merged, and written at once."""
