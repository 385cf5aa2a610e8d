"""Labelled images, wherever they come from, as a pool: in memory where they fit, else behind a map-style data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.data.mapped import MappedExamples
from longtail.data.origin import Origin
from longtail.data.pool import Pool
from longtail.data.prepare.images import ImagePreparation, check_size
from longtail.data.read.images.decode import Decoding, Pictures, decode_once
from longtail.data.read.images.memory import SHARE, fits_in_memory
from longtail.data.read.images.pixels import RULES
from longtail.data.rows import Examples
from longtail.data.views import CropFlip

AUGMENTED = 16
"""From this size on training images are shifted and mirrored; below, a shift by an eighth is not a pixel or two."""


@dataclass(frozen=True)
class Labelled:
    """What is known of N images before one is decoded."""

    name: str
    names: Sequence[str]
    labels: Sequence[str]
    classes: tuple[str, ...]
    parts: np.ndarray | None = None
    groups: np.ndarray | None = None
    weight: Tensor | None = None
    notes: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    def checked(self) -> Labelled:
        """Itself, once there is something to tell apart."""
        if len(self.classes) < 2:
            raise ValueError(
                f"data must have at least two classes, got only {self.classes[0]!r}; nothing to tell apart"
            )
        return self

    @property
    def targets(self) -> Tensor:
        """(N,) int64."""
        place = {name: j for j, name in enumerate(self.classes)}
        return torch.tensor([place[label] for label in self.labels])

    def pool(self, rows: Examples | MappedExamples, preparation: Any, kept: Tensor | None = None) -> Pool:
        """The pool of these rows, which are those at `kept` (None: all)."""
        at = torch.arange(len(self.names)) if kept is None else kept
        index = at.numpy()
        return Pool(
            name=self.name,
            rows=rows,
            targets=rows.targets,
            classes=self.classes,
            parts=None if self.parts is None else self.parts[index],
            groups=None if self.groups is None else self.groups[index],
            sample_weight=rows.sample_weight,
            preparation=preparation,
            facts=self.facts,
            notes=self.notes,
            ids=tuple(self.names[i] for i in index.tolist()),
            origin=Origin(names=tuple(self.names)),
            index=at,
        )


@dataclass(frozen=True)
class Decoder:
    """How images become inputs.

    Args:
        size: height and width in pixels.
        skip_bad: leave out what cannot be decoded, and say so, instead of refusing the data.
        augment: shift (by up to an eighth of the size) and mirror training images, from 16 pixels on. Digits and
            text mean something else in a mirror.
        workers: processes that read rows which do not fit in memory.
        share: of the memory of this machine that decoded images may take.

    Raises:
        ValueError: a size or share out of range.
    """

    size: int = 32
    skip_bad: bool = False
    augment: bool = True
    workers: int = 0
    share: float = SHARE

    def __post_init__(self) -> None:
        check_size(self.size)
        if isinstance(self.share, bool) or not 0 <= self.share <= 1:
            raise ValueError(f"share must be in [0, 1], got {self.share!r}; it is a share of memory, try {SHARE}")

    def pool(self, images: Labelled, pictures: Pictures, sources: Sequence[Path], identity: Callable[[], str]) -> Pool:
        """The images decoded, or each looked at once where they do not fit in memory.

        Args:
            images: what is known of them.
            pictures: where they are read.
            sources: the files whose sizes and times of change the cache goes by; none means no cache.
            identity: names their content where pixels are not hashed.
        """
        size, all_targets, weight = self.size, images.targets, images.weight
        keep = fits_in_memory(len(pictures.names), size, self.share)
        found = decode_once(pictures, size, sources, keep=keep, skip_bad=self.skip_bad)
        targets = all_targets[found.rows]
        lost = set(all_targets.tolist()) - set(targets.tolist())
        if lost:
            raise ValueError(
                f"class {images.classes[min(lost)]!r} has no image that can be decoded; mend one or remove the class"
            )
        weight = None if weight is None else weight[found.rows]
        augment = CropFlip(pad=size // 8) if self.augment and size >= AUGMENTED else None
        rows: Examples | MappedExamples
        if keep:
            rows = Examples(found.images, targets, images.classes, weight, augment=augment)
        else:
            rows = MappedExamples(
                Decoding(pictures, all_targets, size),
                targets,
                images.classes,
                identity=f"{identity()} {size} rules {RULES}",
                rows=found.rows,
                workers=self.workers,
                sample_weight=weight,
                augment=augment,
            )
        facts = {**images.facts, "size": size, "augment": augment is not None}
        if found.bad:
            facts["skipped"] = [name for name, _ in found.bad]
        notes = (*images.notes, *found.notes(), f"images are {size} x {size}, the longer side cropped")
        return replace(images, notes=notes, facts=facts).pool(rows, ImagePreparation(size), found.rows)
