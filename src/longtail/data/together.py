"""Several sources in one batch: rows with labels, those of a second sampler, rows without labels, a clean meta set."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

import torch
from torch import Tensor

from longtail.data.generators import derived
from longtail.data.splits import Part
from longtail.data.views.mixing import Mixing
from longtail.data.views.types import each, uploaded
from longtail.facts.types import Batch, Drawn, TrainingData


@dataclass(frozen=True)
class Together:
    """The batches of `main`, each with a sub-batch of every other source; see `together`."""

    main: TrainingData
    second: TrainingData | None = None
    unlabeled: Part | None = None
    meta: Part | None = None
    count: int | None = None
    mixing: Mixing | None = None

    @property
    def class_counts(self) -> Tensor:
        """(C,) of the main source."""
        return self.main.class_counts

    def __len__(self) -> int:
        return len(self.main)

    @property
    def eager(self) -> str:
        """Why `batch_of` cannot be part of a CUDA graph; empty where it can."""
        return next(filter(None, (source.eager for source in (self.main, *self._others().values()))), "")

    def steps(self) -> int:
        """Return the number of batches in an epoch."""
        return self.main.steps() if self.count is None else self.count

    def draws(self, progress: float, generator: torch.Generator) -> Iterator[Drawn]:
        """Yield the random part of every batch of one epoch.

        The main source draws from the generator as it would alone, every other source from a generator of its own
        derived from it, so that a method that adds a source sees the same main rows as other methods.
        """
        with ExitStack() as stack:
            main = self.main.draws(progress, generator)
            if self.count is not None:
                main = _endless(self.main, progress, generator)
            others: dict[str, Iterator[Drawn]] = {
                name: stack.enter_context(closing(_endless(source, progress, derived(generator, name))))
                for name, source in self._others().items()
            }
            if self.second is not None and self.count is None:  # its last batch is partial as that of the main source
                others["second"] = self.second.draws(progress, derived(generator, "second"))
            pairs = derived(generator, "mixing")
            for _, drawn in zip(range(self.steps()), main, strict=False):
                whole = Drawn(**drawn, **{name: next(draws) for name, draws in others.items()})  # type: ignore[typeddict-item]
                yield whole if self.mixing is None else self._mixed(self.mixing, whole, pairs)

    def batch_of(self, drawn: Drawn) -> Batch:
        """Return the batch that was drawn, with its sub-batches."""
        others = {name: source.batch_of(drawn[name]) for name, source in self._others().items()}  # type: ignore[literal-required]
        batch = Batch(**{**self.main.batch_of(drawn), **others})  # type: ignore[typeddict-item]
        if self.mixing is not None:
            batch["mixing"] = self.mixing.pairs(drawn["mixing"])
        return batch

    def batches(self, progress: float, generator: torch.Generator) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        yield from map(self.batch_of, self.draws(progress, generator))

    def _mixed(self, mixing: Mixing, drawn: Drawn, generator: torch.Generator) -> Drawn:
        """Add the random numbers by which the rows of a batch and all views of its rows without labels are mixed."""
        index = drawn["index"]
        rows = len(index)
        if self.unlabeled is not None:
            rows += len(self.unlabeled.views) * len(drawn["unlabeled"]["index"])
        numbers = mixing.draw(rows, (), generator)
        return Drawn(**{**drawn, "mixing": each(numbers, lambda values: uploaded(values, index.device))})

    def _others(self) -> dict[str, TrainingData]:
        sources = {"second": self.second, "unlabeled": self.unlabeled, "meta": self.meta}
        return {name: source for name, source in sources.items() if source is not None}


def together(
    main: TrainingData,
    *,
    second: TrainingData | None = None,
    unlabeled: Part | None = None,
    meta: Part | None = None,
    steps: int | None = None,
    mixing: Mixing | None = None,
) -> Together:
    """Combine several sources in one loader: semi-supervised learning, meta sets, a second sampler.

    Args:
        main: an epoch is one pass over it.
        second: sub-batches of the same size, row for row, such as the same rows by another sampler; an epoch of it has
            as many rows as one of `main`, in batches of the same size.
        unlabeled, meta: sources of sub-batches of their own size, whole batches only, repeated as often as needed.
        steps: of an epoch, in place of a pass over `main`, which is then repeated as well.
        mixing: of the rows of a batch and of all views of its rows without labels, in this order, as one pool.

    Raises:
        ValueError: steps below 1, or a second source of fewer or more batches than the main one.
    """
    if steps is not None and (isinstance(steps, bool) or steps < 1):
        raise ValueError(f"steps must be an integer >= 1, got {steps!r}; leave it out for a pass over the main source")
    if second is not None and second.steps() != main.steps():
        raise ValueError(
            f"second must have as many batches as the main source, {main.steps()}, got {second.steps()}; draw as many "
            "rows in batches of the same size"
        )
    return Together(main, second, unlabeled, meta, steps, mixing)


def _endless(source: TrainingData, progress: float, generator: torch.Generator) -> Generator[Drawn, None, None]:
    """Yield the draws of whole batches, pass after pass; a source smaller than one batch yields all its rows."""
    while True:
        largest = 0
        for drawn in source.draws(progress, generator):
            largest = max(largest, len(drawn["index"]))
            if len(drawn["index"]) == largest:
                yield drawn
