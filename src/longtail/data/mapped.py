"""Examples that do not fit in memory: rows of a map-style data set, read by worker processes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset

from longtail.data.label_kinds import GIVEN
from longtail.data.rows import BatchedRows
from longtail.facts import subprocesses
from longtail.facts.types import Drawn


class MapStyle(Protocol):
    """row -> (inputs of one example, its class index): what torch calls a map-style data set."""

    def __getitem__(self, row: int, /) -> tuple[Tensor, Any]: ...


@dataclass(frozen=True)
class MappedExamples(BatchedRows):
    """N examples, each read when a batch needs it; batches are those of `Examples` to the byte.

    Args:
        dataset: row -> (uint8 or float tensor of one shape for all, class index in [0, C)). It must give the same
            for the same row every time: random changes belong in `augment`, which gets the epoch's generator, so that
            neither the number of workers nor an interruption changes a batch. With workers it is pickled or forked.
        targets: (N,) int64, known without reading an image; compared with the data set's own, unless that is -1, when a
            row is read.
            Candidate sets (N, C) bool and (N, 0), as in `Examples`, replace the data set's own.
        classes: the names of the C classes.
        identity: names the content, for instance a hash of the files' names, sizes and times. Pixels are not read
            for the hash of the data, so whoever changes the images must change this.
        rows: (N,) int64, which rows of the data set these are; None means the first N.
        workers: processes that read ahead; 0 reads in this one. Batches are the same with any number. Where several
            trainings run at once use 0, since they fill the cores already.
        sample_weight: as in `Examples`; batch_size, draw, augment, policy, views: as in `BatchedRows`.
        device: where batches are wanted.

    Raises:
        ValueError: an empty identity, or labels outside of [0, C); in use: a row that cannot be read, named.
    """

    dataset: MapStyle
    targets: Tensor
    classes: tuple[str, ...]
    identity: str = field(kw_only=True)
    rows: Tensor | None = None
    workers: int = 0
    sample_weight: Tensor | None = None
    device: str | torch.device = field(default="cpu", kw_only=True)

    def __post_init__(self) -> None:
        if not self.identity:
            raise ValueError("identity must not be empty; pass what names the content, such as a hash of file names")
        if isinstance(self.workers, bool) or not isinstance(self.workers, int) or self.workers < 0:
            raise ValueError(f"workers must be an integer >= 0, got {self.workers!r}; 0 reads in this process")
        if self.kind != GIVEN or not len(self.targets):
            return
        if not 0 <= int(self.targets.min()) <= int(self.targets.max()) < len(self.classes):
            raise ValueError(
                f"targets must be in [0, {len(self.classes)}), got {int(self.targets.min())} to "
                f"{int(self.targets.max())}; name all classes"
            )

    @cached_property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example; reads the first row."""
        return tuple(self._first.shape)

    @cached_property
    def _first(self) -> Tensor:
        return _raise_or_return(_RowReader(self)[[0]])[0]

    def take(self, rows: Tensor) -> MappedExamples:
        """Return the examples at these rows, in their order."""
        behind = rows if self.rows is None else self.rows[rows]
        return replace(self, rows=behind, **self._labels(lambda values: values[rows]))

    def to(self, device: str | torch.device) -> MappedExamples:
        """Return the same rows with batches on another device; targets move now, inputs batch by batch."""
        return replace(self, device=device, **self._labels(lambda values: values.to(device)))

    def joined(self, other: MappedExamples, labels: Tensor | None = None) -> MappedExamples:
        """Return these rows and then those of another under these labels, as `Examples.joined`."""
        parts: list[Any] = [Subset(part.dataset, part._behind()) for part in (self, other)]  # type: ignore[arg-type]
        own = self._joined(other, labels)
        both: Any = ConcatDataset(parts)
        dataset = both if labels is None else _Labelled(both, own["targets"].tolist())
        return replace(self, dataset=dataset, identity=f"{self.identity} {other.identity}", rows=None, **own)

    def _behind(self) -> list[int]:
        """Return which rows of the data set these are."""
        return list(range(len(self))) if self.rows is None else self.rows.tolist()

    def draws(self, progress: float, generator: torch.Generator) -> Iterator[Drawn]:
        """Yield the random part of every batch of one epoch, with its inputs as they are."""
        epoch = list(super().draws(progress, generator))
        for drawn, inputs in zip(epoch, self.read([drawn["index"] for drawn in epoch]), strict=True):
            yield Drawn(**drawn, inputs=inputs)

    def chunks(self, size: int) -> Iterator[Tensor]:
        """Yield all inputs in their order, `size` rows at a time, as they are."""
        return self.read(torch.split(torch.arange(len(self)), size))

    def update_hash(self, digest: hashlib._Hash) -> None:
        """Feed everything that decides training into a running hash; `identity` replaces the pixels."""
        digest.update(f"mapped {self.identity} {self._first.dtype} {self.input_shape}".encode())
        for tensor in (self.rows, self.targets, self.sample_weight):
            digest.update(b"none" if tensor is None else tensor.detach().cpu().contiguous().numpy().tobytes())
        digest.update("\0".join(self.classes).encode())

    def read(self, order: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield the inputs of these batches of rows, in this order, whichever worker reads them.

        Workers live for one epoch: starting two took 0.1 s, and keeping them gained nothing that could be measured.
        """
        rows = iter(torch.cat(list(order)).tolist())  # at once: each would wait for the device
        # a generator of its own: the loader draws a seed, and the global generator belongs to the training
        loader: DataLoader[Any] = DataLoader(
            _RowReader(self, self._first),
            batch_size=None,
            sampler=[list(islice(rows, len(part))) for part in order],
            num_workers=self.workers,
            pin_memory=torch.device(self.device).type == "cuda",
            generator=torch.Generator(),
        )
        with subprocesses.safe_path():  # where workers are not forked
            batches = iter(loader)
        try:
            # read to its end, the loader ends its workers itself; in __del__ an interrupt would be lost
            while (inputs := _next(batches)) is not None:
                yield _raise_or_return(inputs).to(self.device, non_blocking=True)
        finally:
            del batches  # where the loop is not run to its end, workers end here


@dataclass(frozen=True)
class _Labelled:
    """The inputs of a data set under other labels than its own."""

    dataset: MapStyle
    labels: Sequence[int]

    def __getitem__(self, row: int, /) -> tuple[Tensor, int]:
        return self.dataset[row][0], self.labels[row]


class _RowReader(Dataset[Any]):
    """A list of rows -> their inputs, stacked; errors are returned as text, since a worker's traceback fills a page."""

    def __init__(self, examples: MappedExamples, like: Tensor | None = None) -> None:
        self.dataset = examples.dataset
        self.rows = None if examples.rows is None else examples.rows.cpu()
        self.targets = examples.targets.cpu() if examples.kind == GIVEN else None
        self.like = like

    def __getitem__(self, rows: list[int]) -> Tensor | str:
        inputs: list[Tensor] = []
        with torch.random.fork_rng(devices=[]):  # a reader that draws does not move the training's generator
            for row in rows:
                result = self._read_row(row)
                if isinstance(result, str):
                    return result
                inputs.append(result)
        return torch.stack(inputs)

    def _read_row(self, row: int) -> Tensor | str:
        """Return the inputs of one row, or the line that says why it cannot be read."""
        behind = row if self.rows is None else int(self.rows[row])
        try:
            inputs, label = self.dataset[behind]
        except Exception as error:  # whatever the data set's reader raises
            reason = (str(error).splitlines() or [""])[0][:80]
            return f"row {behind} cannot be read ({type(error).__name__}: {reason}); repair or leave out this row"
        if not isinstance(inputs, Tensor):
            return f"row {behind} must be a tensor, got {type(inputs).__name__}; give the data set such a transform"
        if inputs.dtype != torch.uint8:
            inputs = inputs.to(torch.float32)
            if not bool(torch.isfinite(inputs).all()):
                return f"row {behind} must be finite, got NaN or infinity; impute or leave out this row"
        if self.targets is not None and int(label) not in (int(self.targets[row]), -1):  # -1: it does not say
            return f"row {behind} has label {int(label)}, targets say {int(self.targets[row])}; pass the data set's own"
        like = inputs if self.like is None else self.like
        if (inputs.shape, inputs.dtype) != (like.shape, like.dtype):
            return (
                f"row {behind} must be like the first, {tuple(like.shape)} {like.dtype}, got "
                f"{tuple(inputs.shape)} {inputs.dtype}; resize in the data set"
            )
        return inputs


def _next(batches: Iterator[Any]) -> Any:
    try:
        return next(batches, None)
    except RuntimeError as error:  # of the loader itself: what a row raises has been returned
        reason = (str(error).splitlines() or [""])[0]
        raise RuntimeError(f"reading rows failed ({reason}); take fewer workers, and run the same again") from None


def _raise_or_return(result: Tensor | str) -> Tensor:
    if isinstance(result, str):
        raise ValueError(result)
    return result
