"""Labelled images, from a folder or from the hub, as a pool: in memory where they fit, else read row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from longtail.data.label_kinds import check_classes, unlabeled
from longtail.data.mapped import MappedExamples
from longtail.data.origin import Origin
from longtail.data.pool import Pool
from longtail.data.prepare.backbone import BackbonePreparation
from longtail.data.prepare.images import ImagePreparation, check_size
from longtail.data.read.backbone import backbone as checked_backbone
from longtail.data.read.backbone import embed
from longtail.data.read.column_roles import Roles
from longtail.data.read.images.decode import EncodedImages, ImageDataset, decode_once
from longtail.data.read.images.memory import SHARE, fits_in_memory
from longtail.data.read.images.pixels import RULES
from longtail.data.rows import Examples
from longtail.data.views import CropFlip

AUGMENTED = 16
"""From this size on training images are shifted and mirrored; below, a shift by an eighth is not a pixel or two."""


@dataclass(frozen=True)
class ImageReader:
    """How images become inputs.

    Args:
        size: height and width in pixels.
        skip_bad: leave out images that cannot be decoded, and say so, instead of refusing the data.
        augment: shift (by up to an eighth of the size) and mirror training images, from 16 pixels on. Digits and
            text mean something else in a mirror.
        workers: processes that read rows which do not fit in memory.
        share: of the memory of this machine that decoded images may take.
        backbone: the local folder of a pretrained network, through which images become features; None keeps pixels.
        device: where that network runs.

    Raises:
        ValueError: a size or share out of range.
    """

    size: int = 32
    skip_bad: bool = False
    augment: bool = True
    workers: int = 0
    share: float = SHARE
    backbone: str | Path | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_size(self.size)
        if self.backbone is not None:
            checked_backbone(self.backbone)  # before anything is read
        if isinstance(self.share, bool) or not 0 <= self.share <= 1:
            raise ValueError(f"share must be in [0, 1], got {self.share!r}; it is a share of memory, try {SHARE}")

    def augmentation(self) -> CropFlip | None:
        """Return how training images are changed, or None."""
        return CropFlip(pad=self.size // 8) if self.augment and self.size >= AUGMENTED else None

    def encoded(
        self,
        name: str,
        images: EncodedImages,
        targets: Tensor,
        classes: tuple[str, ...],
        roles: Roles,
        *,
        identity: str,
        facts: Mapping[str, Any],
        notes: Sequence[str],
    ) -> Pool:
        """Return the pool of all images, each to be decoded when it is read; none is decoded yet.

        Args:
            name, facts, notes: of the pool.
            images: the N images with their names.
            targets: (N,) class indices, -1 without a label, or candidate sets (N, C) bool.
            classes: the C class names in order.
            roles: the images' parts, groups and weights.
            identity: names the content, since pixels are not hashed.

        Raises:
            ValueError: fewer than two classes.
        """
        check_classes(classes)
        given = targets.ndim == 1
        some_missing = given and len(targets) > 0 and int(targets.min()) < 0
        rows = MappedExamples(
            ImageDataset(images, targets if given else torch.full((len(targets),), -1), self.size),
            unlabeled(len(targets)) if some_missing else targets,
            classes,
            identity=f"{identity} {self.size} rules {RULES}",
            workers=self.workers,
            sample_weight=roles.weights,
            augment=self.augmentation(),
        )
        return Pool(
            name, rows, targets, classes, roles.parts, roles.groups, roles.weights, ImagePreparation(self.size),
            dict(facts), tuple(notes), tuple(images.names), Origin(names=tuple(images.names)),
        )  # fmt: skip

    def decoded(self, pool: Pool, images: EncodedImages, sources: Sequence[Path]) -> Pool:
        """Return the pool of `encoded` with its images in memory, or each decoded once as a check where they don't fit.

        Args:
            pool, images: the result and an argument of `encoded`.
            sources: the files whose sizes and times of change the cache goes by; none means no cache.

        Raises:
            ValueError: images that cannot be decoded, unless `skip_bad` leaves some of every class.
        """
        if self.backbone is not None:
            return self._embedded(pool, images)
        in_memory = fits_in_memory(len(pool), self.size, self.share)
        result = decode_once(images, self.size, sources, keep=in_memory, skip_bad=self.skip_bad)
        pool = _kept(pool, result.rows)
        assert isinstance(pool.rows, MappedExamples)
        augment = pool.rows.augment
        if in_memory:
            rows = Examples(result.images, pool.targets, pool.classes, pool.sample_weight, augment=augment)
            pool = replace(pool, rows=rows)
        facts = {**pool.facts, "size": self.size, "augment": augment is not None}
        if result.bad:
            facts["skipped"] = [name for name, _ in result.bad]
        notes = (*pool.notes, *result.notes(), f"images are {self.size} x {self.size}, the longer side cropped")
        return replace(pool, facts=facts, notes=notes)

    def _embedded(self, pool: Pool, images: EncodedImages) -> Pool:
        """Return the pool with what the backbone makes of each image in place of pixels."""
        folder = checked_backbone(self.backbone, self.device)
        made = embed(images, folder, skip_bad=self.skip_bad)
        pool, size = _kept(pool, made.rows), made.features.shape[1]
        preparation = BackbonePreparation(
            str(folder.path.resolve()), folder.checksum, made.pooling, size, device=self.device
        )
        facts = {**pool.facts, "features": True, "backbone": folder.checksum, "pooling": made.pooling}
        if made.bad:
            facts["skipped"] = [name for name, _ in made.bad]
        note = (
            f"images are {size} features each, the {made.pooling} of {folder.name} (backbone {folder.checksum[:8]}), "
            "at their own size through its own preprocessing"
        )
        return replace(
            pool, rows=Examples(made.features, pool.targets, pool.classes, pool.sample_weight),
            preparation=preparation, facts=facts, notes=(*pool.notes, *made.notes(), note),
        )  # fmt: skip


def _kept(pool: Pool, rows: Tensor) -> Pool:
    """Return the rows of images that could be decoded.

    Raises:
        ValueError: a class has none of them left.
    """
    lost = _present(pool.targets, len(pool.classes)) & ~_present(pool.targets[rows], len(pool.classes))
    if lost.any():
        raise ValueError(
            f"class {pool.classes[int(lost.int().argmax())]!r} has no image that can be decoded; repair one or "
            "remove the class"
        )
    return pool.take(rows)


def class_indices(labels: Sequence[str], classes: Sequence[str]) -> Tensor:
    """Return (N,) int64, the class index of every label, -1 of an empty one."""
    index = {label: j for j, label in enumerate(classes)} | {"": -1}
    return torch.tensor([index[label] for label in labels])


def _present(targets: Tensor, num_classes: int) -> Tensor:
    """Return (C,) bool, the classes of labels (N,), but for -1, or of candidate sets (N, C)."""
    if targets.ndim == 2:
        return targets.any(0)
    return torch.bincount(targets[targets >= 0], minlength=num_classes) > 0
