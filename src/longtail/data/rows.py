"""Rows that are cut into batches, and examples in memory: the training, validation and test parts of data."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import Any, Self

import torch
from torch import Tensor

from longtail.data.generators import derived
from longtail.data.label_kinds import GIVEN, NONE, count_classes, label_kind, unlabeled
from longtail.data.views.mixing import Mixing
from longtail.data.views.policies import default_policy
from longtail.data.views.types import Augment, Numbers, Policy, augmentation, numbers_by_batch, uploaded
from longtail.facts.types import Batch, Draw, Drawn


class LabelledRows:
    """N rows with targets, the names of the C classes and, perhaps, weights."""

    targets: Tensor
    classes: tuple[str, ...]
    sample_weight: Tensor | None

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def kind(self) -> str:
        """What is known of the labels: "given" (one a row), "candidates" (a set a row) or "none"."""
        return label_kind(self.targets, len(self.classes))

    @property
    def counts_known(self) -> bool:
        """Whether `class_counts` are counts; of candidate sets they are only expected."""
        return self.kind == GIVEN

    @property
    def class_counts(self) -> Tensor:
        """(C,) int64, zeros included; where rows have weights, their float64 sums.

        Of candidate sets, expected counts: each set counts in equal shares to its classes. Refused without labels.
        """
        return count_classes(self.targets, len(self.classes), self.sample_weight)


@dataclass(frozen=True, kw_only=True)
class BatchedRows(LabelledRows):
    """What `Examples` and `MappedExamples` share: how an epoch visits the rows, and the batches it is cut into.

    `draw` decides which rows an epoch visits (None: each once, in random order), `batch_size` how they are cut;
    the last partial batch is used. `augment` changes the inputs of a training batch, on their device.
    `views` names the views of a batch, which are a tuple then: "plain", "weak" (what `augment` does), or of `policy`,
    which goes before the policy of their kind of input (`views.policies`). `view_of` (N,) says which of them a row
    gets, where a batch has one view of each row: its number in `views`. `mixing` pairs the rows of every batch.
    """

    batch_size: int = 128
    draw: Draw | None = None
    augment: Augment | None = None
    policy: Policy = field(default_factory=dict)
    views: tuple[str, ...] = ()
    view_of: Tensor | None = None
    mixing: Mixing | None = None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        raise NotImplementedError

    def read(self, order: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield the inputs of these batches of rows, in this order, as they are."""
        raise NotImplementedError

    def drawn(self, batch_size: int, draw: Draw | None = None, views: Sequence[str] = ()) -> Self:
        """Return the same rows with another way to visit and to augment them.

        Raises:
            ValueError: a view that these data do not have.
        """
        policy = {**default_policy(self.input_shape, self.augment), **self.policy} if views else self.policy
        return replace(self, batch_size=batch_size, draw=draw, policy=policy, views=known_views(views, policy))

    def strengthened(self, rows: Tensor) -> Self:
        """Return the same rows, of which those where `rows` (N,) is True get the view "strong"."""
        which = rows.to(self.targets.device).long()
        if bool(rows.all()):  # the weak view is not computed in vain
            return replace(self.drawn(self.batch_size, self.draw, ("strong",)), view_of=torch.zeros_like(which))
        return replace(self.drawn(self.batch_size, self.draw, ("weak", "strong")), view_of=which)

    @property
    def eager(self) -> str:
        """Why `batch_of` cannot be part of a CUDA graph; empty where it can."""
        return next(filter(None, (augmentation(way).eager for way in self._ways() if way is not None)), "")

    def steps(self) -> int:
        """Return the number of batches in an epoch."""
        rows = len(self) if self.draw is None else getattr(self.draw, "num_samples", len(self))
        return -(-int(rows) // self.batch_size)

    def draws(self, progress: float, generator: torch.Generator) -> Iterator[Drawn]:
        """Yield the random part of every batch of one epoch, on the device; the generator is its only source."""
        if self.draw is None:
            rows = torch.randperm(len(self), generator=generator)
        else:
            rows = self.draw.draw(progress, generator)
        device = self.targets.device
        order = torch.split(uploaded(rows, device), self.batch_size)
        ways = [augmentation(way) for way in self._ways() if way is not None]
        numbers: Iterable[Numbers] = repeat(())
        if ways:
            numbers = numbers_by_batch(ways, len(rows), self.batch_size, self.input_shape, generator, device)
        if self.mixing is None:
            yield from (Drawn(index=index, numbers=drawn) for index, drawn in zip(order, numbers, strict=False))
            return
        # from a generator of their own: rows and augmentation are those of a training without mixing
        pairs = numbers_by_batch([self.mixing], len(rows), self.batch_size, (), derived(generator, "mixing"), device)
        for index, drawn, (mixed,) in zip(order, numbers, pairs, strict=False):
            yield Drawn(index=index, numbers=drawn, mixing=mixed)

    def batch_of(self, drawn: Drawn) -> Batch:
        """Return the batch that was drawn, augmented; nothing in it depends on values or waits for the device."""
        index, numbers = drawn["index"], iter(drawn["numbers"])
        inputs = drawn["inputs"] if "inputs" in drawn else next(iter(self.read([index])))
        views = [inputs if way is None else augmentation(way).apply(inputs, next(numbers)) for way in self._ways()]
        batch = self._batch(self._shown(views, index), index)
        if self.mixing is not None:
            batch["mixing"] = self.mixing.pairs(drawn["mixing"])
        return batch

    def _shown(self, views: list[Tensor], index: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return one view, all of them as a tuple, or of every row its own."""
        if not self.views:
            return views[0]
        if self.view_of is None:
            return tuple(views)
        return torch.stack(views)[self.view_of[index], torch.arange(len(index), device=index.device)]

    def batches(self, progress: float, generator: torch.Generator) -> Iterator[Batch]:
        """Yield the batches of one epoch; the generator is the only source of their order and augmentation."""
        yield from map(self.batch_of, self.draws(progress, generator))

    def _joined(self, other: BatchedRows, labels: Tensor | None) -> dict[str, Any]:
        """What belongs to these rows and then those of another, besides inputs; see `joined`."""
        if labels is None:
            targets, weight = unlabeled(len(self) + len(other)).to(self.targets.device), None
        else:
            targets, weight = torch.cat([self.targets, labels]), self.sample_weight
        if weight is not None:
            more = weight.new_ones(len(other)) if other.sample_weight is None else other.sample_weight
            weight = torch.cat([weight, more])
        return {"targets": targets, "sample_weight": weight, "view_of": None}

    def _ways(self) -> Sequence[Augment | None]:
        """Return how each view is augmented, None for not at all; without views, how the inputs are."""
        ways = {"plain": None, "weak": self.augment, **self.policy}
        return [ways[view] for view in self.views] if self.views else [self.augment]

    def batch(self, rows: Tensor) -> Batch:
        """Return one batch of the given rows, not augmented."""
        (inputs,) = self.read([rows])
        return self._batch(inputs, rows)

    def _batch(self, inputs: Tensor | tuple[Tensor, ...], index: Tensor) -> Batch:
        batch = Batch(inputs=inputs, index=index)
        if self.kind != NONE:
            batch["targets"] = self.targets[index]
        if self.sample_weight is not None:
            batch["sample_weight"] = self.sample_weight[index]
        return batch

    def _labels(self, change: Callable[[Tensor], Tensor]) -> dict[str, Any]:
        """What belongs to the rows besides their inputs, changed alike."""
        named = {"targets": self.targets, "sample_weight": self.sample_weight, "view_of": self.view_of}
        return {name: None if values is None else change(values) for name, values in named.items()}


@dataclass(frozen=True)
class Examples(BatchedRows):
    """N examples in memory: inputs (N, D) or (N, C, H, W), targets (N,) int64 in [0, C), the names of the C classes.

    Targets may also be candidate sets (N, C) bool, the true class among them, or, of rows without labels, (N, 0)
    (`label_kinds.unlabeled`): `kind` says which.
    `sample_weight` (N,) is None where every example counts once; an example of weight k counts as k of them.
    `batch_size`, `draw`, `augment`, `policy`, `views`: as in `BatchedRows`.
    """

    inputs: Tensor
    targets: Tensor
    classes: tuple[str, ...]
    sample_weight: Tensor | None = None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return tuple(self.inputs.shape[1:])

    def take(self, rows: Tensor) -> Examples:
        """Return the examples at these rows, in their order."""
        return replace(self, inputs=self.inputs[rows], **self._labels(lambda values: values[rows]))

    def joined(self, other: Examples, labels: Tensor | None = None) -> Examples:
        """Return these rows and then those of another under labels (M,); None leaves out all labels and weights."""
        return replace(self, inputs=torch.cat([self.inputs, other.inputs]), **self._joined(other, labels))

    def to(self, device: str | torch.device) -> Examples:
        """Return the same rows on another device."""
        return replace(self, inputs=self.inputs.to(device), **self._labels(lambda values: values.to(device)))

    def read(self, order: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield the inputs of these batches of rows, in this order, as they are."""
        return (self.inputs[rows] for rows in order)

    def chunks(self, size: int) -> Iterator[Tensor]:
        """Yield all inputs in their order, `size` rows at a time, as they are."""
        yield from torch.split(self.inputs, size)

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


def known_views(names: Sequence[str], policy: Policy) -> tuple[str, ...]:
    """Return the names of views, checked.

    Raises:
        ValueError: an unknown one.
    """
    known = list(dict.fromkeys(("plain", "weak", *policy)))
    for name in names:
        if name not in known:
            raise ValueError(
                f"views must be among {', '.join(known)} for these data, got {name!r}; choose one of these"
            )
    return tuple(names)
