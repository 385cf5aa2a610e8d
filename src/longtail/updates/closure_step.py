"""Any kind of step in a training loop of your own: the loop passes a function that computes the loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor, nn

from longtail.facts.learner import Inference, Learner
from longtail.facts.types import Progress, Step, Update
from longtail.updates.meta_weights import MetaWeights

Closure = Callable[[], Tensor]


@final
class ClosureStep:
    """A kind of step for a loop of your own, in place of zero_grad, backward and step.

    The closure computes the loss with its graph, neither clears gradients nor goes backward, and is called in every
    pass of the step. It returns the mean loss or, where the kind of step weighs examples, the losses (B,), whose mean
    is the loss.

    Args:
        update: the kind of step, such as `updates.SAM(0.05)`.
        model: the network; an `nn.ModuleList` of several, with instance weights that the closure uses.
        optimizer: torch's, of the model's parameters. A learning rate scheduler has this one.
        scaler: a `torch.amp.GradScaler` for float16. The kind of step gets true gradients; a step with an overflow
            changes nothing; `scaler.step` and `scaler.update` are called here.
    """

    def __init__(
        self,
        update: Update,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        if isinstance(update, MetaWeights):
            raise TypeError(
                f"update must be a kind of step, got {type(update).__name__}, which weighs losses; call it in the "
                "loop: loss = weighting(losses, model, optimizer, meta_loss)"
            )
        theirs, ours = {p for group in optimizer.param_groups for p in group["params"]}, set(model.parameters())
        if not theirs & ours or not theirs <= ours:
            raise ValueError(
                f"optimizer must train parameters of the model and no others, got {len(theirs & ours)} of its own and "
                f"{len(theirs - ours)} others; pass both of one loop"
            )
        self.update, self.optimizer, self.scaler = update, optimizer, scaler
        self._learner = _ClosureLearner(model)

    def step(
        self,
        closure: Closure | Sequence[Closure] | None = None,
        *,
        targets: Tensor | Sequence[Tensor] | None = None,
        rows: Tensor | Sequence[Tensor] | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Make one step and return the loss of its first pass, detached.

        Args:
            closure: -> the loss or the losses (B,); several for a step over micro-batches of equal size, whose
                gradients are averaged.
            targets: class indices (B,) of the losses, for weights by class; one tensor per closure.
            rows: numbers (B,) of the rows in the training set, for weights by row; one tensor per closure.
            progress: finished epochs / epochs, where a knob is a schedule.

        Raises:
            TypeError: no closure, or one that does not return a tensor.
            ValueError: a loss without a graph, the mean where losses are needed, targets or rows of another number, or
                micro-batches under instance weights that the second pass takes from the first.
        """
        several = isinstance(closure, list | tuple)
        closures: Sequence[Any] = closure if isinstance(closure, list | tuple) else [closure]
        if not closures or not all(map(callable, closures)):
            raise TypeError(
                f"step needs a closure that returns the loss, got {closure!r}; write step(lambda: loss_fn(model(x), y))"
            )
        if several and any(hasattr(module, "repeating") for module in self._learner.modules()):
            raise ValueError(
                f"closure must be one under instance weights, got {len(closures)}; make one step per batch"
            )
        each_targets, each_rows = _each("targets", targets, closures), _each("rows", rows, closures)
        batches: list[Any] = [
            {"closure": one, "targets": y, "rows": i}
            for one, y, i in zip(closures, each_targets, each_rows, strict=True)
        ]
        with torch.enable_grad(), self._scaled() as optimizer:
            step: Step = self.update(self._learner, batches if several else batches[0], optimizer, progress)  # type: ignore[arg-type]
        return step.loss.detach()

    @contextmanager
    def _scaled(self) -> Any:
        """Scale the gradient inside of the network alone: closures scale it, parameters divide it."""
        if self.scaler is None:
            yield self.optimizer
            return
        parameters = [p for group in self.optimizer.param_groups for p in group["params"] if p.requires_grad]
        scale = self.scaler.scale(torch.ones((), device=parameters[0].device))
        hooks = [p.register_hook(lambda gradient: gradient / scale) for p in parameters]
        self._learner.scale = scale
        try:
            yield _ScaledOptimizer(self.optimizer, self.scaler, scale)
        finally:
            self._learner.scale = None
            for hook in hooks:
                hook.remove()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the kind of step; the optimiser's and the scaler's are their own."""
        return dict(self.update.state_dict())

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore a state."""
        self.update.load_state_dict(state_dict)


@final
class _ClosureLearner(Learner):
    """A network whose batches are closures."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.scale: Tensor | None = None

    def training_step(self, batch: Any, progress: Progress) -> Step:
        """Call the closure."""
        loss = batch["closure"]()
        if not isinstance(loss, Tensor):
            raise TypeError(f"closure must return the loss as a tensor, got {type(loss).__name__}; return it")
        if loss.ndim > 1 or not loss.requires_grad:
            graph = "a" if loss.requires_grad else "no"
            raise ValueError(
                f"closure must return the loss, or losses (B,), with their graph, got shape {tuple(loss.shape)} with "
                f"{graph} graph; call neither detach nor item"
            )
        if (scale := self.scale) is not None:
            loss.register_hook(lambda gradient: gradient * scale)  # type: ignore[no-untyped-call]
            loss = loss.view_as(loss)  # derivatives with respect to the losses themselves are not scaled
        losses = loss if loss.ndim else None
        return Step(loss.mean() if loss.ndim else loss, losses, targets=batch["targets"], rows=batch["rows"])

    def inference(self) -> Inference:
        """Return the network."""
        return Inference(self.network)


class _ScaledOptimizer:
    """An optimiser whose step is made by a `GradScaler`, from true gradients."""

    def __init__(self, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler, scale: Tensor) -> None:
        self._optimizer, self._scaler, self._scale = optimizer, scaler, scale

    def __getattr__(self, name: str) -> Any:
        return getattr(self._optimizer, name)

    def step(self) -> None:
        """Scale the gradients as the scaler expects them, which divides them again and looks for overflows."""
        for group in self._optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad.mul_(self._scale)
        self._scaler.step(self._optimizer)
        self._scaler.update()


def _each(name: str, values: Any, closures: Sequence[Closure]) -> Sequence[Any]:
    """Return one tensor or None for each closure.

    Raises:
        ValueError: there are not as many.
    """
    if values is None:
        return [None] * len(closures)
    each = [values] if isinstance(values, Tensor) else list(values)
    if len(each) != len(closures):
        raise ValueError(f"{name} must be one tensor per closure, {len(closures)}, got {len(each)}; pass a list")
    return each
