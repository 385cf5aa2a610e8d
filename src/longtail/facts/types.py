"""The plain types that every layer passes on, and the protocols that keep the layers apart.

A `Batch` goes into a `Learner`, a `Step` comes out; a network answers with `Outputs`. The protocols say
what the engine asks of a part, so that a part of your own needs no base class of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, NotRequired, Protocol, TypedDict, cast, runtime_checkable

import torch
from torch import Tensor, nn

Progress = float | Tensor
"""Share of the current stage that is done: e / E, e finished epochs of E, so 0 <= p < 1."""


class Batch(TypedDict):
    """What one step learns from; never mutated.

    `inputs` is a tensor (B, ...) or a tuple of views of the same examples; `index` (B,) int64 are the
    examples' rows in the training set, so that per-example state has an address. `unlabeled` and `meta` are
    sub-batches with an `index` into their own rows.
    """

    inputs: Tensor | tuple[Tensor, ...]
    targets: Tensor
    index: Tensor
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

    `losses` carry the graph and are None where the loss does not decompose over examples.
    """

    loss: Tensor
    losses: Tensor | None = None
    log: Mapping[str, Tensor] = {}


Record = dict[str, Any]
"""One line of metrics.jsonl: plain numbers and strings under plain names."""


@runtime_checkable
class Targets(Protocol):
    """What each example should be taught now: given, estimated or refined. A module with N-row buffers."""

    def __call__(self, batch: Batch, outputs: Outputs, progress: Progress) -> tuple[Tensor, Tensor | None]:
        """Targets (B,) or (B, C) of this batch and a weight (B,) or None."""
        ...

    def observe(self, batch: Batch, outputs: Outputs, progress: Progress) -> None:
        """Take note of one step's outputs; called once a step, never while the learner is held."""
        ...

    def refresh(self, progress: Progress) -> None:
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
class Learner(Protocol):
    """A network with everything that is learnt or remembered beside it; an `nn.Module`.

    The engine calls `start_epoch` once an epoch, `training_step` and `after_update` once a step, and
    `predict` for evaluation. Whatever must survive an interruption is a parameter or a buffer.
    """

    def training_step(self, batch: Batch, progress: Progress) -> Step:
        """The scalar to descend and what is behind it."""
        ...

    def start_epoch(self, data: TrainingData, progress: Progress) -> None:
        """The one place that may look at the whole training part."""
        ...

    def after_update(self, progress: Progress) -> None:
        """What follows every step: moving averages, memories."""
        ...

    def predict(self, inputs: Tensor) -> Tensor:
        """Scores (B, C) to rank classes and adjust by."""
        ...

    def trainable(self) -> Iterable[nn.Parameter] | Iterable[dict[str, Any]]:
        """Parameters, or parameter groups, for the optimiser."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """Inside, no buffer moves: for the further passes of one step."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that must survive an interruption."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> Any:
        """Put a state back."""
        ...

    def train(self, mode: bool = True) -> Any:
        """Training or evaluation mode."""
        ...


class Predicting(Protocol):
    """A learner that leaves one network for prediction: softmax (or sigmoids, by `link`) of scale * its logits.

    It has data members, so it is not runtime-checkable: since Python 3.12 `isinstance` does not see a submodule,
    which `nn.Module` keeps outside `__dict__`. `predicting` below asks instead.
    """

    network: nn.Module

    @property
    def scale(self) -> float:
        """What the logits are multiplied by."""
        ...

    @property
    def link(self) -> str:
        """ "softmax" or "sigmoid"."""
        ...


def predicting(learner: object) -> Predicting:
    """The learner, as one that leaves a network for prediction.

    Raises:
        TypeError: it has no network, scale or link.
    """
    missing = [name for name in ("network", "scale", "link") if not hasattr(learner, name)]
    if missing:
        raise TypeError(
            f"the learner must have network, scale and link to predict with, {type(learner).__name__} has no "
            f"{', '.join(missing)}; give it these attributes"
        )
    return cast("Predicting", learner)


@runtime_checkable
class Update(Protocol):
    """One optimiser step on one batch; SAM, Meta-Weight-Net and co-teaching are updates."""

    def __call__(self, learner: Learner, batch: Batch, optimizer: torch.optim.Optimizer, progress: Progress) -> Step:
        """Take one step and say what it yielded."""
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
