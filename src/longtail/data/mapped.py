"""Examples that do not fit in memory: rows behind a map-style data set, read by worker processes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from longtail.data.kinds import GIVEN, NONE, counted, kind
from longtail.data.rows import Augment, Policy, known_views, steps, viewed, visited
from longtail.facts import subprocesses
from longtail.facts.types import Batch, Draw


class MapStyle(Protocol):
    """row -> (inputs of one example, its class index): what torch calls a map-style data set."""

    def __getitem__(self, row: int, /) -> tuple[Tensor, Any]: ...


@dataclass(frozen=True)
class MappedExamples:
    """N examples, each read when a batch needs it; otherwise what `Examples` are, batch for batch, to the byte.

    Args:
        dataset: row -> (uint8 or float tensor of one shape for all, class index in [0, C)). It must give the same
            for the same row every time: chance belongs into `augment`, which gets the epoch's generator, so that
            neither the number of workers nor an interruption changes a batch. With workers it is pickled or forked.
        targets: (N,) int64, known without reading an image; held against the data set's own when a row is read.
            Candidate sets (N, C) bool and (N, 0), as in `Examples`, stand in place of the data set's own.
        classes: the names of the C classes.
        identity: names the content, for instance a hash of the files' names, sizes and times. Pixels are not read
            for the hash of the data, so whoever changes the images must change this.
        rows: (N,) int64, which rows of the data set these are; None means the first N.
        workers: processes that read ahead; 0 reads in this one. Batches are the same with any number. Where several
            trainings stand side by side leave it at 0, since they fill the cores already.
        sample_weight, batch_size, draw, augment, policy, views: as in `Examples`.
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
    batch_size: int = 128
    draw: Draw | None = None
    augment: Augment | None = None
    policy: Policy = field(default_factory=dict)
    views: tuple[str, ...] = ()
    device: str | torch.device = "cpu"

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

    def __len__(self) -> int:
        return len(self.targets)

    @cached_property
    def input_shape(self) -> tuple[int, ...]:
        """Of one example: the first row is read for it."""
        return tuple(self._first.shape)

    @cached_property
    def _first(self) -> Tensor:
        return _checked(_Reader(self)[[0]])[0]

    @property
    def kind(self) -> str:
        """What is known of the labels: "given" (one a row), "candidates" (a set a row) or "none"."""
        return kind(self.targets, len(self.classes))

    @property
    def counts_known(self) -> bool:
        """Whether `class_counts` are counts; of candidate sets they are only expected."""
        return self.kind == GIVEN

    @property
    def class_counts(self) -> Tensor:
        """(C,) int64, zeros included; where examples have weights, their float64 sums.

        Of candidate sets, expected counts: each set counts in equal shares to its classes. Refused without labels.
        """
        return counted(self.targets, len(self.classes), self.sample_weight)

    def take(self, rows: Tensor) -> MappedExamples:
        """The examples at these rows, in their order."""
        behind = rows if self.rows is None else self.rows[rows]
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        return replace(self, rows=behind, targets=self.targets[rows], sample_weight=weight)

    def drawn(self, batch_size: int, draw: Draw | None = None, views: Sequence[str] = ()) -> MappedExamples:
        """The same rows with another way to visit and to see them, as `Examples.drawn`."""
        return replace(self, batch_size=batch_size, draw=draw, views=known_views(views, self.policy))

    def to(self, device: str | torch.device) -> MappedExamples:
        """The same rows with batches on another device; targets move now, inputs batch by batch."""
        weight = None if self.sample_weight is None else self.sample_weight.to(device)
        return replace(self, device=device, targets=self.targets.to(device), sample_weight=weight)

    def batches(self, progress: float, generator: torch.Generator) -> Iterator[Batch]:
        """The batches of one epoch; the generator is the only source of their order and augmentation."""
        order = torch.split(visited(self.draw, len(self), progress, generator), self.batch_size)
        for rows, inputs in zip(order, self._read(order), strict=True):
            index = rows.to(self.targets.device)
            seen = viewed(inputs, self.augment, self.policy, self.views, generator)
            batch = Batch(inputs=seen, index=index)
            if self.kind != NONE:
                batch["targets"] = self.targets[index]
            if self.sample_weight is not None:
                batch["sample_weight"] = self.sample_weight[index]
            yield batch

    def chunks(self, size: int) -> Iterator[Tensor]:
        """All inputs in their order, `size` rows at a time, as they are."""
        yield from self._read(torch.split(torch.arange(len(self)), size))

    def steps(self) -> int:
        """Batches in an epoch."""
        return steps(self.draw, len(self), self.batch_size)

    def update_hash(self, digest: hashlib._Hash) -> None:
        """Feed everything that decides training into a running hash; `identity` stands for the pixels."""
        digest.update(f"mapped {self.identity} {self._first.dtype} {self.input_shape}".encode())
        for tensor in (self.rows, self.targets, self.sample_weight):
            digest.update(b"none" if tensor is None else tensor.detach().cpu().contiguous().numpy().tobytes())
        digest.update("\0".join(self.classes).encode())

    def _read(self, order: Sequence[Tensor]) -> Iterator[Tensor]:
        """The inputs of these batches of rows, in this order, whoever reads them.

        Workers live for one epoch: starting two took 0.1 s, and keeping them gained nothing that could be measured.
        """
        # a generator of its own: the loader draws a seed, and the global generator belongs to the training
        loader: DataLoader[Any] = DataLoader(
            _Reader(self, self._first),
            batch_size=None,
            sampler=[rows.tolist() for rows in order],
            num_workers=self.workers,
            pin_memory=torch.device(self.device).type == "cuda",
            generator=torch.Generator(),
        )
        with subprocesses.safe_path():  # where workers are not forked
            found = iter(loader)
        try:
            # asked to its end, the loader ends its workers itself; in __del__ an interrupt would be lost
            while (inputs := _next(found)) is not None:
                yield _checked(inputs).to(self.device, non_blocking=True)
        finally:
            del found  # and where the loop was left, they end here


class _Reader(Dataset[Any]):
    """A list of rows -> their inputs, stacked; what goes wrong is returned, since a worker's error comes as a page."""

    def __init__(self, examples: MappedExamples, like: Tensor | None = None) -> None:
        self.dataset = examples.dataset
        self.rows = None if examples.rows is None else examples.rows.cpu()
        self.targets = examples.targets.cpu() if examples.kind == GIVEN else None
        self.like = like

    def __getitem__(self, rows: list[int]) -> Tensor | str:
        inputs: list[Tensor] = []
        with torch.random.fork_rng(devices=[]):  # a reader that draws does not move the training's generator
            for row in rows:
                found = self._one(row)
                if isinstance(found, str):
                    return found
                inputs.append(found)
        return torch.stack(inputs)

    def _one(self, row: int) -> Tensor | str:
        """The inputs of one row, or the line that says why not."""
        behind = row if self.rows is None else int(self.rows[row])
        try:
            inputs, label = self.dataset[behind]
        except Exception as error:  # whatever the data set's reader raises
            reason = (str(error).splitlines() or [""])[0][:80]
            return f"row {behind} cannot be read ({type(error).__name__}: {reason}); mend or leave out this row"
        if not isinstance(inputs, Tensor):
            return f"row {behind} must be a tensor, got {type(inputs).__name__}; give the data set such a transform"
        if inputs.dtype != torch.uint8:
            inputs = inputs.to(torch.float32)
            if not bool(torch.isfinite(inputs).all()):
                return f"row {behind} must be finite, got NaN or infinity; impute or leave out this row"
        if self.targets is not None and int(label) != int(self.targets[row]):
            return f"row {behind} has label {int(label)}, targets say {int(self.targets[row])}; pass the data set's own"
        like = inputs if self.like is None else self.like
        if (inputs.shape, inputs.dtype) != (like.shape, like.dtype):
            return (
                f"row {behind} must be like the first, {tuple(like.shape)} {like.dtype}, got "
                f"{tuple(inputs.shape)} {inputs.dtype}; resize in the data set"
            )
        return inputs


def _next(found: Iterator[Any]) -> Any:
    try:
        return next(found, None)
    except RuntimeError as error:  # of the loader itself: what a row raises has been returned
        reason = (str(error).splitlines() or [""])[0]
        raise RuntimeError(f"reading rows failed ({reason}); take fewer workers, and run the same again") from None


def _checked(found: Tensor | str) -> Tensor:
    if isinstance(found, str):
        raise ValueError(found)
    return found
