"""What an augmentation is: random numbers drawn for many rows at once, and their use on the device of the inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Numbers = tuple[Any, ...]
"""Random numbers of an augmentation: tensors whose first dimension is the rows, or tuples of such."""
ROWS_AT_ONCE = 2**15
"""Rows whose numbers are drawn together: an epoch of CIFAR in one or two parts; noise for wide features fits memory."""


class RandomNumbers(ABC):
    """What draws its random numbers for many rows at once."""

    @abstractmethod
    def draw(self, rows: int, shape: Sequence[int], generator: torch.Generator) -> Numbers:
        """Return the random numbers of so many rows, on the CPU.

        Args:
            rows: the number of rows, of one or several batches.
            shape: of one input.
            generator: of the CPU.
        """


class Augmentation(RandomNumbers):
    """A random change of inputs in two parts, so that no step draws numbers or waits for a device.

    `draw` makes the numbers on the CPU from the epoch's generator: the same on every device. `apply` uses those of one
    batch on its device, without an operation that depends on values there.
    """

    @property
    def eager(self) -> str:
        """Why `apply` cannot be part of a CUDA graph; empty where it can."""
        return ""

    @abstractmethod
    def apply(self, inputs: Tensor, numbers: Numbers) -> Tensor:
        """Return the inputs (B, ...) of a batch changed by the numbers of its rows: same shape, dtype and device."""

    def __call__(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the numbers of one batch and apply them."""
        numbers = self.draw(len(inputs), inputs.shape[1:], generator)
        return self.apply(inputs, each(numbers, lambda values: values.to(inputs.device)))


Augment = Augmentation | Callable[[Tensor, torch.Generator], Tensor]
"""An augmentation, or a plain function: (inputs of a batch, a CPU generator) -> inputs of the same shape and dtype."""
Policy = Mapping[str, Augment]
"""View by name -> how inputs are augmented for it; "plain" and "weak" always exist."""


@dataclass(frozen=True)
class PerBatch(Augmentation):
    """A plain function as an augmentation: every batch gets a generator of its own, seeded from the epoch's.

    The seed is read from the device in every step, which then waits for it.
    """

    function: Callable[[Tensor, torch.Generator], Tensor]

    @property
    def eager(self) -> str:
        """Name the function."""
        name = getattr(self.function, "__name__", type(self.function).__name__)
        return f"the augmentation {name} is a function that draws its random numbers in every step"

    def draw(self, rows: int, shape: Sequence[int], generator: torch.Generator) -> Numbers:
        """Return a seed for every row; a batch uses that of its first."""
        return (torch.randint(2**62, (rows,), generator=generator),)

    def apply(self, inputs: Tensor, numbers: Numbers) -> Tensor:
        """Call the function."""
        return self.function(inputs, torch.Generator().manual_seed(int(numbers[0][0])))


def augmentation(augment: Augment) -> Augmentation:
    """Return an augmentation as it is, a plain function as `PerBatch`."""
    return augment if isinstance(augment, Augmentation) else PerBatch(augment)


def each(numbers: Numbers, change: Callable[[Tensor], Tensor]) -> Numbers:
    """Apply a function to every tensor of random numbers."""
    return tuple(change(value) if isinstance(value, Tensor) else each(value, change) for value in numbers)


def numbers_by_batch(
    augmentations: Sequence[RandomNumbers],
    rows: int,
    batch_size: int,
    shape: Sequence[int],
    generator: torch.Generator,
    device: torch.device,
) -> Iterator[Numbers]:
    """Yield the numbers of every batch of an epoch, a tuple for each augmentation, on the device.

    They are drawn and uploaded for all batches at once, or for `ROWS_AT_ONCE` rows.
    """
    block = max(1, ROWS_AT_ONCE // batch_size) * batch_size
    for start in range(0, rows, block):
        size = min(block, rows - start)
        drawn = tuple(way.draw(size, shape, generator) for way in augmentations)
        there = each(drawn, lambda values: uploaded(values, device))
        for first in range(0, size, batch_size):
            yield each(there, lambda values, first=first: values[first : first + batch_size])  # type: ignore[misc]


def uploaded(values: Tensor, device: torch.device) -> Tensor:
    """Return a CPU tensor on a device, without waiting for the copy to a GPU."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)
