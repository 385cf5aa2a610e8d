"""What all samplers share: one draw an epoch, divided among the ranks, and resumable within an epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

from longtail.facts.knobs import Range


class RowSampler(Sampler[int], ABC):
    """A draw of rows, and a rank's share of it.

    In epoch e all rows are `draw(progress, generator(seed, e))`; rank r of W yields rows r, r + W, r + 2W,
    ... of that one draw, so the union over the ranks is the single-process draw, whatever its length.

    Args:
        num_samples: rows in an epoch, over all ranks.
        seed: of the draws, >= 0; the same on every rank.
        rank: which share is this process's, in [0, world_size).
        world_size: number of processes.

    Attributes:
        epochs: length of the training, where a framework calls `set_epoch(epoch)` without progress (Lightning,
            accelerate): progress is then epoch / epochs. None until it is set.
    """

    epochs: int | None = None

    def __init__(self, num_samples: int, *, seed: int = 0, rank: int = 0, world_size: int = 1) -> None:
        for name, value, low in (
            ("num_samples", num_samples, 1),
            ("seed", seed, 0),
            ("world_size", world_size, 1),
        ):
            Range(low, integer=True).check(name, value)
        if not 0 <= rank < world_size:
            raise ValueError(f"rank must be in [0, world_size={world_size}), got {rank!r}; ranks count from 0")
        self.num_samples, self.seed = int(num_samples), int(seed)
        self.rank, self.world_size = int(rank), int(world_size)
        self.epoch = 0
        self.progress: float | None = None
        self._position = 0  # rows of this epoch that this rank has yielded
        self._begun = False  # whether an iteration over this epoch has started in this process

    @abstractmethod
    def chunks(self, progress: float | None, generator: torch.Generator) -> Iterator[Tensor]:
        """The rows of one epoch, int64, in consecutive pieces."""

    @final
    def draw(self, progress: float | None, generator: torch.Generator) -> Tensor:
        """All rows of one epoch, (num_samples,) int64; `generator` is the only source of randomness."""
        return torch.cat(list(self.chunks(progress, generator)))

    def __len__(self) -> int:
        """Rows of this rank."""
        return len(range(self.rank, self.num_samples, self.world_size))

    def __iter__(self) -> Iterator[int]:
        """This rank's rows of the epoch.

        Without `set_epoch` between them, each iteration is the next epoch (of unknown progress). The first
        one after `load_state_dict` continues at the saved position.
        """
        if self._begun:
            self.set_epoch(self.epoch + 1)
        self._begun = True
        words = np.random.SeedSequence([self.seed, self.epoch]).generate_state(2, np.uint32)
        generator = torch.Generator().manual_seed((int(words[0]) << 31) ^ int(words[1]))
        start, before = self._position, 0
        first = self.rank  # this rank's next row, counted from the chunk's start
        progress = self.epoch / self.epochs if self.progress is None and self.epochs else self.progress
        for chunk in self.chunks(progress, generator):
            share = chunk[first :: self.world_size]
            for row in share[max(start - before, 0) :].tolist():
                self._position += 1
                yield row
            before += len(share)
            first += len(share) * self.world_size - len(chunk)

    def set_epoch(self, epoch: int, progress: float | None = None) -> None:
        """Set the epoch to draw next, and its progress where a knob depends on it (epoch / epochs).

        Setting the epoch of a loaded state keeps the position in it.
        """
        if epoch != self.epoch or self._begun:
            self._position = 0
        self.epoch, self.progress, self._begun = int(epoch), progress, False

    def state_dict(self, position: int | None = None) -> dict[str, Any]:
        """Return the position of this rank: plain numbers.

        Args:
            position: rows of this epoch that were used, where fewer than were yielded: a DataLoader
                with workers reads ahead, so pass steps * batch_size.
        """
        return {
            "epoch": self.epoch,
            "progress": self.progress,
            "position": self._position if position is None else int(position),
            "num_samples": self.num_samples,
            "seed": self.seed,
            "world_size": self.world_size,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state of `state_dict`: the next iteration yields the rest of its epoch."""
        for name in ("num_samples", "seed", "world_size"):
            if state[name] != getattr(self, name):
                raise ValueError(
                    f"{name} must be {state[name]} as in the saved state, got {getattr(self, name)}; "
                    "build the sampler as it was"
                )
        if not 0 <= state["position"] <= len(self):
            raise ValueError(f"position must be in [0, {len(self)}], got {state['position']}; it counts rows")
        self.epoch, self.progress = int(state["epoch"]), state["progress"]
        self._position, self._begun = int(state["position"]), False
