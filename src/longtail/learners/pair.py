"""Learning from two views of the same example, without labels, in parts that a correction can exchange one by one."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol, final

import torch
from torch import Tensor, nn

from longtail.facts.knobs import Knob
from longtail.facts.learner import Inference, Learner
from longtail.facts.schedules import at
from longtail.facts.types import Batch, Outputs, Progress, Record, Step, TrainingData
from longtail.learners.branches import Branch, Shared


class Compared(NamedTuple):
    """The outputs for the two views of B rows: projections (B, P) as `logits`, and the features under them.

    `first` and `second` are those of the trained network, with a graph; `second` is None where the host is not
    symmetric. `first_key` and `second_key` are those of its moving average, without a graph; None where there is no
    average, and `first_key` where the host is not symmetric.
    """

    first: Outputs
    second: Outputs | None
    first_key: Outputs | None = None
    second_key: Outputs | None = None

    @property
    def other(self) -> Outputs:
        """The outputs for the second view: of the trained network, or else of the average."""
        found = self.second_key if self.second is None else self.second
        assert found is not None
        return found


class Host(Protocol):
    """The loss of one published method (SimCLR, MoCo, BYOL), a module.

    Its attributes say what it is to be given; its queue or its predictor are its own. Where it has `after_update(batch,
    step, progress)` this is called after every update; the keys of the step are in `step.outputs.extra["keys"]`. Where
    the losses of its first steps are not to be compared with later ones (a queue that is not full yet), it has
    `settled()`, which returns a 0-dim bool tensor, in `step.outputs.extra["settled"]` as it is before the update.

    Attributes:
        t: its temperature, scheduled or not; None where it has none.
        momentum: share of the moving average of the network that stays, scheduled or not; None for no average.
        symmetric: whether both views pass through the trained network, and through its average where there is one;
            else the first passes through the network and the second through the average.
    """

    t: Knob | None
    momentum: Knob | None
    symmetric: bool

    def __call__(self, compared: Compared, batch: Batch, t: Progress | None, progress: Progress) -> Tensor:
        """Return the losses (B,) of the rows, at temperature t."""
        ...


class Auxiliary(Protocol):
    """A loss beside the host's (GH), a module; `start_epoch` and `after_update` as in `Memory`, where it has them."""

    def __call__(self, compared: Compared, batch: Batch, progress: Progress) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return losses (B,), added to the host's, and what to log."""
        ...


class Memory(Protocol):
    """What is stored of every training row (momentum losses, densities), a module with N-row buffers."""

    def start_epoch(self, learner: PairLearner, data: TrainingData, progress: Progress) -> None:
        """Compute what holds for an epoch, before its first step; may read all rows."""
        ...

    def after_update(self, batch: Batch, step: Step, progress: Progress) -> None:
        """Use one step: the host's losses (B,) alone are in `step.outputs.extra["losses"]`."""
        ...


@final
class PairLearner(Learner):
    """A network whose head projects; the projections of two views of a batch are compared.

    loss = mean over the rows of host(projections, t) + auxiliary(projections)

    The branch passes the views through the network, and through the moving average where the host has a momentum. A
    correction exchanges a part by `varied`, whatever the host: the slot "branch" is `branch` (SDCLR's pruned one), the
    slot "temperature" is `temperature` (TS), the slot "surrogate" is `auxiliary` (GH); `memories` are added to, each by
    the correction that reads it.

    Args:
        network: inputs -> projections (B, P) as `logits`, and the features under them.
        host: see `Host`.
        branch: how views pass through a network, see `Branch`; by default both in one pass.
        temperature: in place of the host's own.
        auxiliary: see `Auxiliary`.
        memories: see `Memory`.
        average: the moving average of the network, by default a copy where the host has a momentum. Its batch norms
            record the statistics of its own passes.
        no_decay: names of the network's parameters that weight decay leaves alone.

    Raises:
        ValueError: a temperature for a host that has none.
    """

    host: Any
    branch: Any
    auxiliary: Any
    memories: Any

    def __init__(
        self,
        network: nn.Module,
        host: nn.Module,
        *,
        branch: nn.Module | None = None,
        temperature: Knob | None = None,
        auxiliary: nn.Module | None = None,
        memories: Iterable[nn.Module] = (),
        average: nn.Module | None = None,
        no_decay: Iterable[str] = (),
    ) -> None:
        super().__init__()
        if temperature is not None and host.t is None:
            raise ValueError(
                f"temperature must be left out for {type(host).__name__}, which has none, got {temperature}"
            )
        self.network = network
        self.host = host
        self.branch = Shared() if branch is None else branch
        self.temperature = temperature
        self.auxiliary = auxiliary
        self.memories = nn.ModuleList(memories)
        self.average = average
        if average is None and host.momentum is not None:
            self.average = copy.deepcopy(network)
        if self.average is not None:
            self.average.requires_grad_(False)
        self.no_decay = frozenset(no_decay)

    def training_step(self, batch: Batch, progress: Progress) -> Step:
        """Return the mean loss of the rows, with their losses, and the outputs for the first view."""
        compared = self._compared(batch)
        t = self.host.t if self.temperature is None else self.temperature
        losses = own = self.host(compared, batch, None if t is None else at(t, progress, "t"), progress)
        log: Mapping[str, Tensor] = {}
        if self.auxiliary is not None:
            more, log = self.auxiliary(compared, batch, progress)
            losses = own + more
        extra = {"losses": own}
        if compared.second_key is not None:
            extra["keys"] = compared.second_key.logits
        if hasattr(self.host, "settled"):
            extra["settled"] = self.host.settled()
        outputs = _detached(compared.first, **extra)
        return Step(losses.mean(), losses, log, outputs, rows=batch["index"])

    def _compared(self, batch: Batch) -> Compared:
        first, second = _two_views(batch["inputs"])
        shown = (first, second if self.host.symmetric else None)
        online: tuple[Any, Any] = self.branch(self.network, shown)
        if self.average is None:
            return Compared(*online)
        with torch.no_grad():
            keys: tuple[Any, Any] = self.branch(
                self.average, (first if self.host.symmetric else None, second), average=True
            )
        return Compared(*online, *keys)

    def start_epoch(self, data: TrainingData, progress: Progress) -> None:
        """Let the parts compute what holds for the epoch: a pruning mask, scores, densities, a prior."""
        self.branch.start_epoch(self.network, progress)
        for part in self._parts():
            if hasattr(part, "start_epoch"):
                part.start_epoch(self, data, progress)

    @torch.no_grad()
    def after_update(self, batch: Batch, step: Step, progress: Progress) -> None:
        """Move the average, and let the parts store what they need of the step."""
        if self.holding:
            return
        if self.average is not None:
            stay = at(self.host.momentum, progress, "momentum")
            for mean, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.mul_(stay).add_(now * (1 - stay))
            self.branch.follow(stay)
        for part in (self.host, *self._parts()):
            if hasattr(part, "after_update"):
                part.after_update(batch, step, progress)

    def epoch_record(self) -> Record:
        """Return what the parts add to the record of an epoch."""
        record: Record = {}
        for part in (self.branch, self.host, *self._parts()):
            record |= getattr(part, "epoch_record", dict)()
        return record

    def inference(self) -> Inference:
        """Return the encoder; its logits are projections, and a probe classifies by its features."""
        return Inference(self.network)

    def _parts(self) -> list[Any]:
        return [*([] if self.auxiliary is None else [self.auxiliary]), *self.memories]


def _two_views(inputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    if isinstance(inputs, Tensor) or len(inputs) != 2:
        got = "one" if isinstance(inputs, Tensor) else str(len(inputs))
        raise ValueError(f"inputs must be two views of the same rows, got {got}; draw them with two views=")
    return inputs[0], inputs[1]


def _detached(outputs: Outputs, **extra: Tensor) -> Outputs:
    features = None if outputs.features is None else outputs.features.detach()
    return Outputs(outputs.logits.detach(), features, {name: value.detach() for name, value in extra.items()})


__all__ = ["Auxiliary", "Branch", "Compared", "Host", "Memory", "PairLearner"]
