"""The plain types that every layer passes on, and the protocols that keep the layers apart.

A `Batch` goes into a `Learner`, a `Step` comes out; a network answers with `Outputs`. The protocols say
what the engine asks of a part, so that a part of your own needs no base class of ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, NotRequired, Protocol, TypedDict, runtime_checkable

import torch
from torch import Tensor

from longtail import aliases

Progress = float | Tensor
"""Share of the current stage that is done: e / E, e finished epochs of E, so 0 <= p < 1."""


class Batch(TypedDict):
    """What one step learns from; never mutated.

    `inputs` is a tensor (B, ...) or a tuple of views of the same examples; `index` (B,) int64 are the
    examples' rows in the training set, so that per-example state has an address. `targets` are there where rows have
    labels: classes (B,), or candidate sets (B, C) bool. `unlabeled` and `meta` are sub-batches with an `index` into
    their own rows.
    """

    inputs: Tensor | tuple[Tensor, ...]
    index: Tensor
    targets: NotRequired[Tensor]
    sample_weight: NotRequired[Tensor]
    unlabeled: NotRequired[Batch]
    meta: NotRequired[Batch]


class Outputs(NamedTuple):
    """What a network says: logits (B, C), the features (B, D) that enter the head, and anything else.

    Experts stand as (B, E, C) in `extra`, with their aggregate as logits. `extra` is a plain dictionary that
    nobody mutates, so that outputs can be copied, pickled, compiled and exported.
    """

    logits: Tensor
    features: Tensor | None = None
    extra: Mapping[str, Any] = {}


def as_outputs(answer: Tensor | Outputs) -> Outputs:
    """A bare tensor is taken as the logits."""
    return answer if isinstance(answer, Outputs) else Outputs(answer)


class Step(NamedTuple):
    """What one training step yields: the scalar to descend, the losses (B,) behind it, and what to log.

    `losses` carry the graph and are None where the loss does not decompose over examples. `outputs` are what the
    network said in the step's first pass, detached: what is noted after the update was believed before it.
    """

    loss: Tensor
    losses: Tensor | None = None
    log: Mapping[str, Tensor] = {}
    outputs: Outputs | None = None


Record = dict[str, Any]
"""One line of metrics.jsonl: plain numbers and strings under plain names."""


@runtime_checkable
class Targets(Protocol):
    """What each example should be taught now: given, estimated or refined. A module with N-row buffers.

    The order of a step: the call, the update, `observe`.
    """

    def __call__(self, batch: Batch, outputs: Outputs, progress: Progress) -> tuple[Tensor, Tensor | None]:
        """Targets (B,) or (B, C) of this batch and a weight (B,) or None.

        May write what this step itself needs (DARP), unless `holding`.
        """
        ...

    def observe(self, batch: Batch, outputs: Outputs, progress: Progress) -> None:
        """Take note of one step's outputs, detached; called once a step, after the update (PRODEN)."""
        ...

    def refresh(self, data: TrainingData, progress: Progress) -> None:
        """Solve what is solved over the whole set; called at the start of an epoch."""
        ...


@runtime_checkable
class InstanceWeights(Protocol):
    """Per-example losses (B,) -> one weighted scalar."""

    def __call__(
        self,
        losses: Tensor,
        *,
        targets: Tensor | None = None,
        index: Tensor | None = None,
        kept: Tensor | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """The weighted scalar; positions where `kept` is False stand outside."""
        ...


@runtime_checkable
class Update(Protocol):
    """One optimiser step on one batch; SAM, Meta-Weight-Net and co-teaching are updates.

    Built with its stage, so it may draw random numbers; one that is a module moves to the device with the learner.
    """

    def __call__(self, learner: Any, batch: Batch, optimizer: torch.optim.Optimizer, progress: Progress) -> Step:
        """Take one step of a `Learner` and say what it yielded: of its first pass, where it makes several."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that must survive an interruption."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Put a state back."""
        ...


@runtime_checkable
class Draw(Protocol):
    """Which rows an epoch visits, in which order: what a sampler is to the engine."""

    def draw(self, progress: float, generator: torch.Generator) -> Tensor:
        """Row indices (M,) int64 of one epoch."""
        ...


class TrainingData(Protocol):
    """What a stage trains on: rows that can be counted and batched."""

    @property
    def class_counts(self) -> Tensor:
        """(C,) int64."""
        ...

    def __len__(self) -> int: ...

    def batches(self, progress: float, generator: torch.Generator) -> Iterator[Batch]:
        """One epoch; the generator is its only source of chance."""
        ...

    def steps(self) -> int:
        """Batches in an epoch."""
        ...


def __getattr__(name: str) -> Any:
    return aliases.name(__name__, name)
