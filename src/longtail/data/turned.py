"""Turned images: a label that every image gives by itself, for self-supervised training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from longtail.data.generators import derived
from longtail.data.over_rows import OverRows
from longtail.data.splits import Part
from longtail.data.views.types import Numbers, numbers_by_batch
from longtail.facts.types import Batch, Drawn


def quarter_turns(shape: Sequence[int]) -> tuple[int, ...]:
    """Return by how many quarters of a turn images of this shape can be turned: all, or half a turn if not square."""
    return (0, 1, 2, 3) if shape[-1] == shape[-2] else (0, 2)


@dataclass(frozen=True)
class Turned(OverRows):
    """The batches of images, augmented as usual, each then turned counter-clockwise at random; without their labels.

    `batch["turns"]` (B,) int64 says which of `quarter_turns` an image got. In a batch every turn is equally frequent
    or, where their number does not divide B, has one image more or less. The images themselves and their order are
    those of `rows`.

    Args:
        rows: images (H, W) or (K, H, W), each visited once an epoch.
    """

    rows: Part

    def draw(self, rows: int, shape: Sequence[int], generator: torch.Generator) -> Numbers:
        """Return a place in a random order for every image, (rows,)."""
        return (torch.rand(rows, generator=generator),)

    def draws(self, progress: float, generator: torch.Generator) -> Iterator[Drawn]:
        """Yield the random part of every batch of one epoch, with `turns`, the places of its images."""
        rows = self.rows
        device = rows.targets.device
        places = numbers_by_batch([self], len(rows), rows.batch_size, (), derived(generator, "turns"), device)
        for drawn, ((place,),) in zip(rows.draws(progress, generator), places, strict=True):
            yield Drawn(**drawn, turns=place)

    def batch_of(self, drawn: Drawn) -> Batch:
        """Return the batch that was drawn, its images turned."""
        batch = self.rows.batch_of(drawn)
        images = batch["inputs"]
        assert isinstance(images, Tensor)
        turns = quarter_turns(self.rows.input_shape)
        which = drawn["turns"].argsort(stable=True) % len(turns)  # of a permutation: equally many of each
        turned = torch.stack([torch.rot90(images, k, (-2, -1)) for k in turns])
        changed = Batch(inputs=turned[which, torch.arange(len(which), device=which.device)], index=batch["index"])
        if "sample_weight" in batch:
            changed["sample_weight"] = batch["sample_weight"]
        changed["turns"] = which
        return changed
