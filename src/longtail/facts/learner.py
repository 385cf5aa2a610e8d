"""The learner: the one abstract module that the engine trains, and its part that predicts."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from longtail.facts.types import Batch, Progress, Record, Step, TrainingData, as_outputs

INSTANCE_NORMS = nn.modules.instancenorm._InstanceNorm


class Inference(NamedTuple):
    """The part of a learner that predicts: link(scale * logits - offsets) of one network.

    `link` is "softmax" or "sigmoid"; `offsets` (C,) are subtracted from the scaled logits (a prior learnt in training).
    """

    network: nn.Module
    scale: float = 1.0
    link: str = "softmax"
    offsets: Tensor | None = None

    def scores(self, inputs: Tensor) -> Tensor:
        """Return the scores (B, C) that rank the classes."""
        logits = as_outputs(self.network(inputs)).logits
        scaled = logits if self.scale == 1.0 else self.scale * logits
        return scaled if self.offsets is None else scaled - self.offsets.to(scaled.dtype)


class Learner(nn.Module, ABC):
    """A network with everything else that is learnt or stored in training; abstract, with final subclasses.

    A subclass defines the training step and the part that predicts. The arguments of its constructor are its slots,
    stored under their own names, so that `varied` can exchange one and copy all others. Whatever must survive an
    interruption is a parameter or a buffer, and nothing of a step is stored on the learner.
    """

    holding = False
    no_decay: Collection[str] = ()
    """Names of the network's parameters without weight decay."""
    rates: Mapping[str, float] = {}
    """Names of the network's modules or parameters -> their learning rate as a multiple of the stage's, 1 elsewhere; of
    several names that fit, the longest applies."""

    @abstractmethod
    def training_step(self, batch: Batch, progress: Progress) -> Step:
        """Return the scalar loss of a batch, with the losses of its examples and what to log."""

    @abstractmethod
    def inference(self) -> Inference:
        """Return what predicts: the network itself, its moving average, a learnt prior."""

    def forward(self, batch: Batch, progress: Progress) -> Step:
        """The training step, under the name that `torch.func.functional_call` needs."""
        return self.training_step(batch, progress)

    def start_epoch(self, data: TrainingData, progress: Progress) -> None:
        """Prepare an epoch; the one method that may read the whole training part."""

    def after_update(self, batch: Batch, step: Step, progress: Progress) -> None:
        """Update moving averages and memories after a step."""

    def epoch_record(self) -> Record:
        """Return what the targets add to the record of an epoch; called once, after its last step."""
        record: Record = getattr(getattr(self, "targets", None), "epoch_record", dict)()
        return record

    @torch.no_grad()
    def predict(self, inputs: Tensor) -> Tensor:
        """Return scores (B, C) that rank the classes; call it in evaluation mode."""
        return self.inference().scores(inputs)

    def varied(self, **slots: Any) -> Self:
        """Return a learner with the named slots exchanged and all others the same.

        Raises:
            TypeError: no such slot.
        """
        names = list(inspect.signature(type(self)).parameters)
        unknown = [name for name in slots if name not in names]
        if unknown:
            raise TypeError(
                f"slots of {type(self).__name__} are {', '.join(names)}, got {', '.join(unknown)}; choose among these"
            )
        return type(self)(**{name: slots.get(name, getattr(self, name)) for name in names})

    def trainable(self) -> list[dict[str, Any]]:
        """Return the parameters to train as parameter groups: with weight decay, without, and by learning rate.

        A group whose learning rate is another multiple of the stage's than 1 has it as "rate".

        Raises:
            ValueError: `no_decay` names no parameter of the network, or `rates` neither module nor parameter.
        """
        parameters = [n for n, _ in self.named_parameters()]
        exempt = {f"network.{name}" for name in self.no_decay}
        rates = {f"network.{name}": rate for name, rate in self.rates.items()}
        _check_names("no_decay", exempt, "parameters", parameters)
        _check_names("rates", rates, "modules or parameters", [*parameters, *(n for n, _ in self.named_modules())])
        groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                fitting = [part for part in rates if f"{name}.".startswith(f"{part}.")]
                rate = rates[max(fitting, key=len)] if fitting else 1.0
                groups.setdefault((name in exempt, rate), []).append(parameter)
        return [
            {"params": params, **({"weight_decay": 0.0} if free else {}), **({} if rate == 1 else {"rate": rate})}
            for (free, rate), params in sorted(groups.items(), key=lambda group: group[0][0])
        ]

    @contextmanager
    def held(self, *, again: bool = False, norms: bool = True) -> Iterator[None]:
        """Inside, no buffer of norms, targets or weights changes: for the further passes of a step.

        Other modules that change in a forward pass in training mode, such as spectral norms, do so in every pass.

        Args:
            again: the pass follows the one that changed the buffers, on the same batch, and uses the instance weights
                computed in it, so that both passes have the same loss (the second pass of SAM).
            norms: False lets batch norms record the statistics of this pass, too.
        """
        layers: list[Any] = [m for m in self.modules() if norms and isinstance(m, nn.modules.batchnorm._BatchNorm)]
        tracking = [m.track_running_stats for m in layers]
        instance: list[Any] = [m for m in self.modules() if norms and m.training and isinstance(m, INSTANCE_NORMS)]
        running = [(m.running_mean, m.running_var) for m in instance]
        holders: list[Any] = [m for m in self.modules() if hasattr(m, "holding")]
        before = [(m.holding, getattr(m, "repeating", None)) for m in holders]
        try:
            for norm in layers:
                norm.track_running_stats = False  # in training mode: batch statistics, not recorded
            for norm in instance:
                norm.running_mean = norm.running_var = None  # they are not used in training mode
            for holder in holders:
                holder.holding = True
                if again and hasattr(holder, "repeating"):
                    holder.repeating = True
            yield
        finally:
            for norm, value in zip(layers, tracking, strict=True):
                norm.track_running_stats = value
            for norm, (mean, var) in zip(instance, running, strict=True):
                norm.running_mean, norm.running_var = mean, var
            for holder, (holding, repeating) in zip(holders, before, strict=True):
                holder.holding = holding
                if repeating is not None:
                    holder.repeating = repeating


def _check_names(argument: str, names: Iterable[str], what: str, known: Iterable[str]) -> None:
    unknown = set(names) - set(known)
    if unknown:
        raise ValueError(
            f"{argument} must name {what} of the network, got {', '.join(sorted(unknown))}; "
            "see network.named_parameters()"
        )
