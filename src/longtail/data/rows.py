"""Examples held in memory: what a training part, a validation part and a test part are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from longtail.facts.types import Batch, Draw

Augment = Callable[[Tensor, torch.Generator], Tensor]
"""(inputs of a batch, the epoch's generator) -> inputs of the same shape."""


@dataclass(frozen=True)
class Examples:
    """N examples: inputs (N, D) or (N, C, H, W), targets (N,) int64 in [0, C), and the names of the C classes.

    `draw` decides which rows an epoch visits (None: each once, in random order), `batch_size` how they are cut;
    the last partial batch is kept. `augment` changes the inputs of a training batch, on their device.
    `sample_weight` (N,) is None where every example counts once; an example of weight k counts as k of them.
    """

    inputs: Tensor
    targets: Tensor
    classes: tuple[str, ...]
    sample_weight: Tensor | None = None
    batch_size: int = 128
    draw: Draw | None = None
    augment: Augment | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one example."""
        return tuple(self.inputs.shape[1:])

    @property
    def class_counts(self) -> Tensor:
        """(C,) int64, zeros included; where examples have weights, their float64 sums."""
        return counted(self.targets, len(self.classes), self.sample_weight)

    def take(self, rows: Tensor) -> Examples:
        """The examples at these rows, in their order."""
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        return replace(self, inputs=self.inputs[rows], targets=self.targets[rows], sample_weight=weight)

    def drawn(self, batch_size: int, draw: Draw | None = None) -> Examples:
        """The same rows with another way to visit them."""
        return replace(self, batch_size=batch_size, draw=draw)

    def to(self, device: str | torch.device) -> Examples:
        """The same rows on another device."""
        weight = None if self.sample_weight is None else self.sample_weight.to(device)
        inputs, targets = self.inputs.to(device), self.targets.to(device)
        return replace(self, inputs=inputs, targets=targets, sample_weight=weight)

    def batches(self, progress: float, generator: torch.Generator) -> Iterator[Batch]:
        """The batches of one epoch; the generator is the only source of their order."""
        order = visited(self.draw, len(self), progress, generator)
        for rows in torch.split(order.to(self.targets.device), self.batch_size):
            batch = self.batch(rows)
            if self.augment is not None:
                inputs = batch["inputs"]
                assert isinstance(inputs, Tensor)
                batch["inputs"] = self.augment(inputs, generator)
            yield batch

    def chunks(self, size: int) -> Iterator[Tensor]:
        """All inputs in their order, `size` rows at a time, as they are."""
        yield from torch.split(self.inputs, size)

    def steps(self) -> int:
        """Batches in an epoch."""
        return steps(self.draw, len(self), self.batch_size)

    def batch(self, rows: Tensor) -> Batch:
        """One batch of the given rows."""
        batch = Batch(inputs=self.inputs[rows], targets=self.targets[rows], index=rows)
        if self.sample_weight is not None:
            batch["sample_weight"] = self.sample_weight[rows]
        return batch

    def update_hash(self, digest: hashlib._Hash) -> None:
        """Feed everything that training can see into a running hash."""
        for tensor in (self.inputs, self.targets, self.sample_weight):
            if tensor is None:
                digest.update(b"none")
                continue
            array = tensor.detach().cpu().contiguous().numpy()
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(array.data if array.size else b"")  # no copy of all images
        digest.update("\0".join(self.classes).encode())


def counted(targets: Tensor, size: int, sample_weight: Tensor | None) -> Tensor:
    """Examples per class (C,), a row of weight k counting as k: int64, or float64 where there are weights."""
    if sample_weight is None:
        return torch.bincount(targets, minlength=size)
    # on the CPU: a GPU adds in another order every time
    sums = torch.bincount(targets.cpu(), weights=sample_weight.cpu().double(), minlength=size)
    return sums.to(targets.device)


def visited(draw: Draw | None, size: int, progress: float, generator: torch.Generator) -> Tensor:
    """Rows (M,) int64 of one epoch over `size` examples, in their order."""
    return torch.randperm(size, generator=generator) if draw is None else draw.draw(progress, generator)


def steps(draw: Draw | None, size: int, batch_size: int) -> int:
    """Batches in an epoch."""
    drawn = size if draw is None else getattr(draw, "num_samples", size)
    return -(-int(drawn) // batch_size)
