"""Steps of several trainings made at once: one pass through their stacked bodies, one step of their optimisers.

A step of a network of a few thousand parameters is calls, not arithmetic. Stacked, the calls are shared; every matrix
product is still that of one training, so that its bytes are those of the training by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtail.engine.due_step import DueStep
from longtail.engine.slices import SlicedLinear, aligned, aligned_slices
from longtail.learners import SupervisedLearner
from longtail.models.bodies.stages import layers_of
from longtail.models.bodies.tabular import NumbersAndCodes, known_codes
from longtail.models.network import Network
from longtail.updates import Descend


def signature(due: DueStep) -> tuple[Any, ...] | None:
    """Return what trainings must have in common for their steps to be made at once; None where this one's cannot be.

    It can be where a `Descend` step trains all layers of a fully connected body in float32 on a CPU by SGD with
    momentum, without mixing and without a loss beside. Heads, losses, targets and weights may be any: they are computed
    one by one.
    """
    learner, _, update = due.built
    if type(update) is not Descend or not isinstance(learner, SupervisedLearner) or learner.mixing is not None:
        return None
    if learner.beside is not None:  # which may pass the batch through the network by itself
        return None
    network = learner.network
    if type(network) is not Network or network.precision != "float32":
        return None
    layers = list(layers_of(network.body))
    parameters = [p for group in due.optimizer.param_groups for p in group["params"]]
    body, known = list(network.body.parameters()), {id(p) for p in parameters}
    inputs = due.batch["inputs"]
    flat = isinstance(inputs, Tensor) and (inputs.ndim == 2 or type(layers[0]) is nn.Flatten)
    if not flat or not body or not all(map(_is_known, layers)) or any(map(_is_changed, network.modules())):
        return None
    if any(id(p) not in known or not p.requires_grad or p._backward_hooks for p in body):
        return None
    used = [id(p) for layer in (*layers, network.head) for p in layer.parameters()]
    if len(set(used)) < len(used):  # one layer in two places
        return None
    if any(p.dtype != torch.float32 or p.device.type != "cpu" for p in parameters):
        return None
    if type(due.optimizer) is not torch.optim.SGD or not all(map(_is_plain, due.optimizer.param_groups)):
        return None
    tables = {id(p) for layer in layers if type(layer) is NumbersAndCodes for p in layer.parameters()}

    def shapes(group: Iterable[Tensor]) -> tuple[Any, ...]:
        return tuple(p.shape[1:] if id(p) in tables else p.shape for p in group)

    groups = tuple(
        (g["weight_decay"], g["momentum"], g.get("rate"), shapes(g["params"])) for g in due.optimizer.param_groups
    )
    numeric = getattr(layers[0], "numeric", None)
    return tuple((type(layer), shapes(layer.parameters())) for layer in layers), groups, numeric


def _is_plain(group: dict[str, Any]) -> bool:
    """Whether SGD has momentum and nothing else of what torch offers."""
    others = ("nesterov", "maximize", "dampening", "differentiable", "fused")
    return bool(group["momentum"]) and group["foreach"] is not False and not any(group[name] for name in others)


def _is_known(layer: nn.Module) -> bool:
    """Whether a stacked pass has this layer."""
    if type(layer) is nn.Flatten:
        return (layer.start_dim, layer.end_dim) == (1, -1)
    if type(layer) is NumbersAndCodes:
        return True
    return type(layer) is nn.ReLU or (type(layer) is nn.Linear and layer.bias is not None)


def _is_changed(module: nn.Module) -> bool:
    """Whether somebody's code runs when this module is called."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or "forward" in vars(module)
    )


class Pack:
    """Trainings whose parameters and momenta are slices of stacked tensors, so that each is still whole by itself.

    Args:
        dues: a step of each; their signatures are equal, and their optimisers have made a step.
    """

    def __init__(self, dues: Sequence[DueStep]) -> None:
        self.networks: list[Any] = [due.built.learner.network for due in dues]
        optimizers = [due.optimizer for due in dues]
        self.groups: list[tuple[float, float, list[Tensor], list[Tensor], list[tuple[Tensor, ...]]]] = []
        of: dict[int, Tensor] = {}
        for groups in zip(*(optimizer.param_groups for optimizer in optimizers), strict=True):
            columns: list[tuple[Tensor, ...]] = list(zip(*(group["params"] for group in groups), strict=True))
            parameters = [_stacked(column) for column in columns]
            of |= {id(column[0]): stack for column, stack in zip(columns, parameters, strict=True)}
            momenta = [_stacked_momenta(optimizers, column) for column in columns]
            self.groups.append((groups[0]["weight_decay"], groups[0]["momentum"], parameters, momenta, columns))
        self.body = [
            (type(layer), [of[id(p)].requires_grad_() for p in layer.parameters()])
            for layer in layers_of(self.networks[0].body)
        ]
        encoders: list[Any] = [next(layers_of(network.body)) for network in self.networks]
        if self.body[0][0] is NumbersAndCodes:
            self.numeric, self.sizes = encoders[0].numeric, torch.stack([one.sizes for one in encoders])[:, None]

    def step(self, dues: Sequence[DueStep], enters: Sequence[Callable[[], None]]) -> None:
        """Make the steps that are due, of batches of one size.

        Args:
            dues: a step of each training, in the order of the constructor's.
            enters: for each, called before the part of its step that is computed by itself.
        """
        start = time.perf_counter()
        inputs = [n.standardize(due.batch["inputs"]) for n, due in zip(self.networks, dues, strict=True)]
        features = [aligned(one) for one in self._features(torch.stack(inputs)).unbind()]
        for _, _, _, _, columns in self.groups:
            for column in columns:
                for parameter in column:
                    parameter.grad = None
        losses = []
        for due, enter, network, one in zip(dues, enters, self.networks, features, strict=True):
            enter()
            vars(network)["features"] = lambda _, one=one: one
            try:
                due.step = due.built.learner.training_step(due.batch, due.progress)
            finally:
                del vars(network)["features"]
            losses.append(due.step.loss)
        torch.autograd.backward(losses)
        self._descend([[group["lr"] for group in due.optimizer.param_groups] for due in dues])
        for due in dues:
            due.seconds = (time.perf_counter() - start) / len(dues)

    def _features(self, x: Tensor) -> Tensor:
        for kind, parameters in self.body:
            if kind is nn.Linear:
                x = SlicedLinear.apply(x, *parameters)  # type: ignore[no-untyped-call]
            elif kind is NumbersAndCodes:
                x = self._embedded(x, parameters)
            else:
                x = torch.relu(x) if kind is nn.ReLU else x.flatten(2)
        return x

    def _embedded(self, x: Tensor, tables: Sequence[Tensor]) -> Tensor:
        """Compute `NumbersAndCodes` of every training; the rows of all its tables (W, S, D) are one table's."""
        codes = known_codes(x[..., self.numeric :], self.sizes)
        starts = torch.arange(len(x))[:, None]
        embedded = [
            F.embedding(column + len(table[0]) * starts, table.flatten(0, 1))
            for column, table in zip(codes.unbind(-1), tables, strict=True)
        ]
        return torch.cat([x[..., : self.numeric], *embedded], dim=-1)

    @torch.no_grad()
    def _descend(self, lrs: Sequence[Sequence[float]]) -> None:
        """Make the steps of torch's SGD, on stacked tensors; the learning rates of each training are by group."""
        for group, rates in zip(self.groups, zip(*lrs, strict=True), strict=True):
            decay, momentum, parameters, momenta, columns = group
            gradients = []
            for stack, column in zip(parameters, columns, strict=True):
                gradients.append(torch.stack([p.grad for p in column]) if stack.grad is None else stack.grad)  # type: ignore[misc]
                stack.grad = None
            if decay:
                gradients = list(torch._foreach_add(gradients, parameters, alpha=decay))
            torch._foreach_mul_(momenta, momentum)
            torch._foreach_add_(momenta, gradients, alpha=1)
            if len(set(rates)) == 1:
                torch._foreach_add_(parameters, momenta, alpha=-rates[0])
                continue
            for i, rate in enumerate(rates):
                torch._foreach_add_([p[i] for p in parameters], [m[i] for m in momenta], alpha=-rate)


def _stacked(column: Sequence[Tensor]) -> Tensor:
    """Stack the same parameter of all trainings, and make each a slice of the stack."""
    stack, slices = aligned_slices([parameter.detach() for parameter in column])
    for parameter, one in zip(column, slices, strict=True):
        parameter.data = one
    return stack


def _stacked_momenta(optimizers: Sequence[torch.optim.Optimizer], column: Sequence[Tensor]) -> Tensor:
    states = [optimizer.state[parameter] for optimizer, parameter in zip(optimizers, column, strict=True)]
    stack, slices = aligned_slices([state["momentum_buffer"] for state in states])
    for state, one in zip(states, slices, strict=True):
        state["momentum_buffer"] = one
    return stack
