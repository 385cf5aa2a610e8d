"""Check a factory of networks before training, and fingerprint what it makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from longtail.facts import files
from longtail.facts.types import as_outputs
from longtail.models.build import standardization
from longtail.models.own.build import last_layer, split
from longtail.models.own.factory import Factory, check_factory, first_line, make, qualified, without_addresses

DIGITS = 16
"""Hexadecimal digits of a fingerprint."""


@dataclass(frozen=True)
class OwnNetwork:
    """A checked factory, and what identifies its networks.

    Args:
        factory: makes a new network at each call.
        name: its module, qualified name and, of a `functools.partial`, arguments.
        structure: fingerprint of the network's modules with the names, shapes and dtypes of their tensors.
        weights: fingerprint of the initial values that do not depend on the seed, such as pretrained ones.
        features: D, the width of the last layer's inputs.
        trains: whether parameters before the last layer are trained.
    """

    factory: Factory
    name: str
    structure: str
    weights: str
    features: int
    trains: bool

    @classmethod
    def of(cls, factory: Factory, sample: Tensor, num_classes: int) -> Self:
        """Check a factory on some training rows.

        Raises:
            TypeError: no factory.
            ValueError: its networks cannot be trained by every method: they do not end in an `nn.Linear` of C outputs,
                cannot take the inputs, share parameters, or do not draw their weights from torch's generator.
        """
        check_factory(factory)
        shape = tuple(sample.shape[1:])
        first, other, again = (_seeded(factory, num_classes, shape, seed) for seed in (0, 1, 0))
        last = last_layer(first, num_classes)
        if {id(p) for p in first.parameters()} & {id(p) for p in other.parameters()}:
            raise ValueError(
                "network must make a new network at each call, got parameters of the call before; copy what they share"
            )
        one, two = _values(first), _values(other)
        structure = structure_of(first)
        if structure != structure_of(again) or one != _values(again):
            raise ValueError(
                "network must draw its initial weights from torch's generator alone, got others under the same seed; "
                "use torch.nn.init"
            )
        constants = [name.encode() + one[name] for name in one if one[name] == two.get(name)]
        trains = any(p.requires_grad for p in {*first.parameters()} - {*last.parameters()})
        _check_outputs(first, standardization(shape)(sample), num_classes)
        weights = files.checksum(*constants)[:DIGITS]
        return cls(factory, qualified(factory), structure, weights, last.in_features, trains)

    def identity(self) -> dict[str, str]:
        """Return what belongs to the identity of a training, as JSON."""
        return {"name": self.name, "structure": self.structure, "weights": self.weights}


def structure_of(model: nn.Module) -> str:
    """Return the fingerprint of a network's modules with the names, shapes and dtypes of their tensors."""
    tensors = [f"{name} {tuple(value.shape)} {value.dtype}" for name, value in _tensors(model).items()]
    return files.checksum("\n".join([without_addresses(repr(model)), *tensors]).encode())[:DIGITS]


def _seeded(factory: Factory, num_classes: int, input_shape: tuple[int, ...], seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return make(factory, num_classes, input_shape)


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}


def _values(model: nn.Module) -> dict[str, bytes]:
    """Return each initialised tensor of a network as bytes, in which NaN equals NaN."""
    return {
        name: value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        for name, value in _tensors(model).items()
    }


@torch.no_grad()
def _check_outputs(model: nn.Module, inputs: Tensor, num_classes: int) -> None:
    """Raise ValueError unless the network maps these inputs to the outputs of its last `nn.Linear`."""
    model.eval()
    try:
        logits = as_outputs(model(inputs)).logits
    except Exception as error:  # whatever the user's code raises
        raise ValueError(
            f"network cannot take inputs of shape {tuple(inputs.shape)} ({first_line(error)}); "
            "take input_shape= to adapt it"
        ) from error
    expected = (len(inputs), num_classes)
    if not isinstance(logits, Tensor) or tuple(logits.shape) != expected:
        what = tuple(logits.shape) if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        raise ValueError(f"network must return logits of shape {expected}, got {what}; size its end by num_classes")
    body, head = split(model, num_classes)
    try:
        features = body(inputs)
        last = features.ndim == 2 and torch.allclose(head(features), logits, rtol=1e-4, atol=1e-5)
    except Exception:  # code behind the layer that does not work on its inputs
        last = False
    if not last:
        raise ValueError(
            "network must return the outputs of its last nn.Linear as they are, got other logits; leave out what "
            "follows that layer, such as a softmax, and register it last"
        )
