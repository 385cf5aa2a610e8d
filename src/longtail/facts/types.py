"""The plain types that all layers exchange, and the protocols between the layers.

A `Learner` takes a `Batch` and returns a `Step`; a network returns `Outputs`. The protocols define what the engine
needs of a part, so that a part of your own needs no base class of ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, NotRequired, Protocol, TypedDict, runtime_checkable

import torch
from torch import Tensor

from longtail import aliases

Progress = float | Tensor
"""Finished share of the current stage: e / E, e finished epochs of E, so 0 <= p < 1."""


class Mixed(NamedTuple):
    """Which rows of a batch are mixed: row i with `partner[i]` (B,), a permutation of the rows.

    `share` (0-dim, or (B,) of each row, in [0, 1]) is that of the row itself, `layer` (0-dim, in [0, 1)) a random
    number that chooses among the layers of a network.
    """

    partner: Tensor
    share: Tensor
    layer: Tensor


class Batch(TypedDict):
    """The examples of one step; never mutated.

    `inputs` is a tensor (B, ...) or a tuple of views of the same examples; `index` (B,) int64 are the
    examples' rows in the training set, which address per-example state. `targets` exist where rows have labels:
    classes (B,), or candidate sets (B, C) bool. `mixing` says which rows the learner mixes (with `unlabeled`, those of
    all its views, too), `turns` (B,) by which turn each image was turned. `samples` are the classes (M,) and standard
    normal numbers (M, D) of features that the step draws. `second` is a sub-batch of as many rows, drawn by another
    sampler; `unlabeled` and `meta` are sub-batches with an `index` into their own rows, and so are `experts`, by the
    number of the expert that the step trains.
    """

    inputs: Tensor | tuple[Tensor, ...]
    index: Tensor
    targets: NotRequired[Tensor]
    sample_weight: NotRequired[Tensor]
    mixing: NotRequired[Mixed]
    turns: NotRequired[Tensor]
    samples: NotRequired[tuple[Tensor, Tensor]]
    second: NotRequired[Batch]
    unlabeled: NotRequired[Batch]
    meta: NotRequired[Batch]
    experts: NotRequired[dict[int, Batch]]


class Drawn(TypedDict):
    """The random part of a batch: what data make the batch from, all on their device.

    `index` (B,) int64 are the rows, `numbers` the random numbers of each augmentation (tensors whose first dimension is
    B, or tuples of such), `mixing` those of mixed examples, `turns` those of turned images, `samples` those of drawn
    features (M of them, not B), `further` those of further changes of the views, `inputs` the rows' inputs where these
    are not in the memory of the device. `second`, `unlabeled`, `meta` and `experts` are those of the sub-batches.
    """

    index: Tensor
    numbers: tuple[Any, ...]
    mixing: NotRequired[tuple[Any, ...]]
    turns: NotRequired[Tensor]
    samples: NotRequired[tuple[Any, ...]]
    further: NotRequired[tuple[Any, ...]]
    inputs: NotRequired[Tensor]
    second: NotRequired[Drawn]
    unlabeled: NotRequired[Drawn]
    meta: NotRequired[Drawn]
    experts: NotRequired[dict[int, Drawn]]


class Outputs(NamedTuple):
    """The outputs of a network: logits (B, C), the features (B, D) that enter the head, and anything else.

    Experts are in `extra` as (B, E, C), with their aggregate as logits. `extra` is a plain dictionary that must not be
    mutated, so that outputs can be copied, pickled, compiled and exported.
    """

    logits: Tensor
    features: Tensor | None = None
    extra: Mapping[str, Any] = {}


def as_outputs(answer: Tensor | Outputs) -> Outputs:
    """Return a network's answer as `Outputs`; a tensor alone is the logits."""
    return answer if isinstance(answer, Outputs) else Outputs(answer)


class Step(NamedTuple):
    """The result of one training step: the scalar loss, the losses (B,) of its examples, and what to log.

    `losses` have a graph and are None where the loss is no function of single examples. `outputs` are those of the
    step's first pass, before the update, detached. `targets` and `rows` (B,) are what each example's loss was compared
    with and the example's row in the training set; of two mixed examples those with the larger coefficient, of a soft
    target the likeliest class.
    """

    loss: Tensor
    losses: Tensor | None = None
    log: Mapping[str, Tensor] = {}
    outputs: Outputs | None = None
    targets: Tensor | None = None
    rows: Tensor | None = None


Record = dict[str, Any]
"""One line of metrics.jsonl: plain numbers and strings under plain names."""


@runtime_checkable
class Targets(Protocol):
    """The current target of each example: given, estimated or refined. A module with N-row buffers.

    The order of a step: the call, the update, `observe`. Where they have `second_pass = True`, the outputs that they
    observe are those of a further pass over the batch after the update, in training mode and without a gradient.

    Where they have `refresh_with(outputs, rows, progress)`, a supervised learner calls that in place of `refresh`:
    `outputs()` makes a pass over all rows, in evaluation mode and without augmentation, and returns their `Outputs` in
    the order of the rows. It returns the class counts (C,) that the loss reads from then on, or None to leave them.
    Where they have `masks = True`, a row of weight 0 still counts in the mean.
    """

    def __call__(self, batch: Batch, outputs: Outputs, progress: Progress) -> tuple[Tensor, Tensor | None]:
        """Return targets (B,) or (B, C) of this batch and a weight (B,) or None.

        May change buffers that this step needs (DARP), unless `holding`.
        """
        ...

    def observe(self, batch: Batch, outputs: Outputs, progress: Progress) -> None:
        """Use one step's detached outputs; called once a step, after the update (PRODEN)."""
        ...

    def refresh(self, data: TrainingData, progress: Progress) -> None:
        """Solve over the whole training set; called at the start of an epoch."""
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
        """Return the weighted scalar; positions where `kept` is False are left out."""
        ...


@runtime_checkable
class Update(Protocol):
    """One optimiser step on one batch; SAM, Meta-Weight-Net and co-teaching are updates.

    Built with its stage, so it may draw random numbers; one that is a module moves to the device with the learner.
    Where it has `epoch_record() -> dict`, this is read at the end of every epoch and joined to the epoch's record.
    """

    def __call__(self, learner: Any, batch: Batch, optimizer: torch.optim.Optimizer, progress: Progress) -> Step:
        """Make one step of a `Learner` and return its result; of several passes, that of the first."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return everything that must survive an interruption."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore a state."""
        ...


@runtime_checkable
class Draw(Protocol):
    """A sampler: which rows an epoch visits, in which order."""

    def draw(self, progress: float, generator: torch.Generator) -> Tensor:
        """Return row indices (M,) int64 of one epoch."""
        ...


class TrainingData(Protocol):
    """The rows that a stage trains on, with class counts and batches."""

    @property
    def class_counts(self) -> Tensor:
        """(C,) int64."""
        ...

    @property
    def eager(self) -> str:
        """Why `batch_of` cannot be part of a CUDA graph; empty where it can."""
        ...

    def __len__(self) -> int: ...

    def draws(self, progress: float, generator: torch.Generator) -> Iterator[Drawn]:
        """Yield the random part of every batch of one epoch; all randomness comes from the generator."""
        ...

    def batch_of(self, drawn: Drawn) -> Batch:
        """Return the batch that was drawn; nothing in it depends on values or waits for the device."""
        ...

    def batches(self, progress: float, generator: torch.Generator) -> Iterator[Batch]:
        """Yield the batches of one epoch: `batch_of` over `draws`."""
        ...

    def steps(self) -> int:
        """Return the number of batches in an epoch."""
        ...


def __getattr__(name: str) -> Any:
    return aliases.name(__name__, name)
