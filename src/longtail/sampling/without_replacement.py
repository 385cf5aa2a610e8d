"""Samplers that use the rows of a class one after the other before any of them comes again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, final

import torch
from torch import Tensor

from longtail.facts.knobs import Range
from longtail.sampling.classes import ClassSampler

PER_CLASS = Range(1, integer=True)
RATIO = Range(1, open_high=True)


@final
class ClassAwareSampler(ClassSampler):
    """Visit the classes in random order, again and again, and draw `per_class` rows at each visit.

    No class is visited again before all others were, and no row of a class is drawn again before all of them were.
    The order of the classes and of the rows of a class is new in every pass over them, and in every epoch.

    As in the code of OLTR and MiSLAS (4 rows a visit), after Shen et al. 2016.

    Args:
        labels, num_samples, seed, rank, world_size: see `ClassSampler`; the last visit of an epoch may be cut off.
        per_class: k >= 1, rows of a visit; a class of fewer rows repeats some.
    """

    def __init__(
        self,
        labels: Any,
        *,
        per_class: Annotated[int, PER_CLASS] = 4,
        num_samples: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        PER_CLASS.check("per_class", per_class)
        super().__init__(labels, num_samples=num_samples, seed=seed, rank=rank, world_size=world_size)
        self.per_class = int(per_class)

    def class_probabilities(self, progress: float | None = None) -> Tensor:
        """The same for every class that has rows."""
        present = (self.class_counts > 0).double()
        return present / present.sum()

    def chunks(self, progress: float | None, generator: torch.Generator) -> Iterator[Tensor]:
        """All visits at once."""
        present = torch.nonzero(self.class_counts).flatten()
        visits = -(-self.num_samples // self.per_class)
        visited = present[_passes(len(present), visits, generator)]
        rows = torch.empty(visits, self.per_class, dtype=torch.int64)
        often = visited.bincount(minlength=len(self.class_counts)).tolist()
        of_class = torch.split(visited.argsort(stable=True), often)
        for j in present.tolist():
            within = _passes(int(self.class_counts[j]), self.per_class * len(of_class[j]), generator)
            rows[of_class[j]] = self._rows[self._first[j] + within].long().reshape(-1, self.per_class)
        yield rows.flatten()[: self.num_samples]


@final
class UnderSampler(ClassSampler):
    """A fresh random subset every epoch: min(n_j, floor(ratio n_min)) rows of class j, each once, in random order.

    n_min is the smallest count above 0.

    Args:
        labels, seed, rank, world_size: see `ClassSampler`.
        ratio: >= 1, of the largest class to the smallest in the subset; 1 is balanced.
        num_samples: rows in an epoch, the size of one subset by default; more are drawn as further fresh subsets.
    """

    def __init__(
        self,
        labels: Any,
        *,
        ratio: Annotated[float, RATIO] = 1.0,
        num_samples: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        RATIO.check("ratio", ratio)
        super().__init__(labels, num_samples=num_samples, seed=seed, rank=rank, world_size=world_size)
        counts = self.class_counts
        self.sizes = counts.clamp(max=int(ratio * int(counts[counts > 0].min())))
        if num_samples is None:
            self.num_samples = int(self.sizes.sum())

    def class_probabilities(self, progress: float | None = None) -> Tensor:
        """The shares of the classes in a subset."""
        return self.sizes.double() / self.sizes.sum()

    def chunks(self, progress: float | None, generator: torch.Generator) -> Iterator[Tensor]:
        """One subset, or as many as are needed."""
        size = int(self.sizes.sum())
        for start in range(0, self.num_samples, size):
            yield self._subset(generator)[: self.num_samples - start]

    def _subset(self, generator: torch.Generator) -> Tensor:
        label = torch.repeat_interleave(self.class_counts)  # of the rows sorted by class
        shuffled = torch.randperm(self.num_rows, generator=generator)
        by_class = shuffled[label[shuffled].argsort(stable=True)]  # in random order within each class
        chosen = by_class[torch.arange(self.num_rows) - self._first[label] < self.sizes[label]]
        rows: Tensor = self._rows[chosen[torch.randperm(len(chosen), generator=generator)]].long()
        return rows


def _passes(size: int, length: int, generator: torch.Generator) -> Tensor:
    """Return permutations of range(size), one after the other, cut off at a length."""
    passes = [torch.randperm(size, generator=generator) for _ in range(-(-length // size))]
    return torch.cat(passes)[:length]
