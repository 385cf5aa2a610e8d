"""Examples held in memory: what a training part, a validation part and a test part are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from longtail.data.kinds import GIVEN, NONE, counted, kind
from longtail.facts.types import Batch, Draw

Augment = Callable[[Tensor, torch.Generator], Tensor]
"""(inputs of a batch, the epoch's generator) -> inputs of the same shape."""
Policy = Mapping[str, Augment]
"""View by name -> how these inputs are varied for it; "plain" and "weak" are always there (`viewed`)."""


@dataclass(frozen=True)
class Examples:
    """N examples: inputs (N, D) or (N, C, H, W), targets (N,) int64 in [0, C), and the names of the C classes.

    Targets may also be candidate sets (N, C) bool, the true class among them, or, of rows without labels, (N, 0)
    (`kinds.unknown`): `kind` says which.
    `draw` decides which rows an epoch visits (None: each once, in random order), `batch_size` how they are cut;
    the last partial batch is kept. `augment` changes the inputs of a training batch, on their device.
    `views` names the views of a batch, which are a tuple then: "plain", "weak" (what `augment` does), or of `policy`.
    `sample_weight` (N,) is None where every example counts once; an example of weight k counts as k of them.
    """

    inputs: Tensor
    targets: Tensor
    classes: tuple[str, ...]
    sample_weight: Tensor | None = None
    batch_size: int = 128
    draw: Draw | None = None
    augment: Augment | None = None
    policy: Policy = field(default_factory=dict)
    views: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one example."""
        return tuple(self.inputs.shape[1:])

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

    def take(self, rows: Tensor) -> Examples:
        """The examples at these rows, in their order."""
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        return replace(self, inputs=self.inputs[rows], targets=self.targets[rows], sample_weight=weight)

    def drawn(self, batch_size: int, draw: Draw | None = None, views: Sequence[str] = ()) -> Examples:
        """The same rows with another way to visit and to see them.

        Raises:
            ValueError: a view that these data do not have.
        """
        return replace(self, batch_size=batch_size, draw=draw, views=known_views(views, self.policy))

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
            inputs = batch["inputs"]
            assert isinstance(inputs, Tensor)
            batch["inputs"] = viewed(inputs, self.augment, self.policy, self.views, generator)
            yield batch

    def chunks(self, size: int) -> Iterator[Tensor]:
        """All inputs in their order, `size` rows at a time, as they are."""
        yield from torch.split(self.inputs, size)

    def steps(self) -> int:
        """Batches in an epoch."""
        return steps(self.draw, len(self), self.batch_size)

    def batch(self, rows: Tensor) -> Batch:
        """One batch of the given rows."""
        batch = Batch(inputs=self.inputs[rows], index=rows)
        if self.kind != NONE:
            batch["targets"] = self.targets[rows]
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


def known_views(asked: Sequence[str], policy: Policy) -> tuple[str, ...]:
    """The names of the views asked for.

    Raises:
        ValueError: one that there is not.
    """
    known = list(dict.fromkeys(("plain", "weak", *policy)))
    for view in asked:
        if view not in known:
            raise ValueError(
                f"views must be among {', '.join(known)} for these data, got {view!r}; choose one of these"
            )
    return tuple(asked)


def viewed(
    inputs: Tensor, augment: Augment | None, policy: Policy, views: Sequence[str], generator: torch.Generator
) -> Tensor | tuple[Tensor, ...]:
    """The inputs of a batch as training sees them: augmented, or as a tuple of the views that are named."""
    weak = augment or (lambda plain, _: plain)
    if not views:
        return weak(inputs, generator)
    ways: dict[str, Augment] = {"plain": lambda plain, _: plain, "weak": weak, **policy}
    return tuple(ways[view](inputs, generator) for view in views)


def visited(draw: Draw | None, size: int, progress: float, generator: torch.Generator) -> Tensor:
    """Rows (M,) int64 of one epoch over `size` examples, in their order."""
    return torch.randperm(size, generator=generator) if draw is None else draw.draw(progress, generator)


def steps(draw: Draw | None, size: int, batch_size: int) -> int:
    """Batches in an epoch."""
    drawn = size if draw is None else getattr(draw, "num_samples", size)
    return -(-int(drawn) // batch_size)
