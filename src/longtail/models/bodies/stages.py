"""Stages of a body: the layers between which hidden values may be changed, as manifold mixup does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeVar

from torch import Tensor, nn

Layer = TypeVar("Layer", bound=nn.Module)


class Change(Protocol):
    """A change of hidden values (B, ...) at place k: 0 the input, k after stage k, the last one the features."""

    def acts(self, place: int) -> bool:
        """Whether it changes anything at this place."""
        ...

    def __call__(self, x: Tensor, place: int) -> Tensor:
        """Return the changed values."""
        ...


def starts_stage(layer: Layer) -> Layer:
    """Mark a layer as the first of a stage; the first layer of a body need not be marked."""
    layer.starts_stage = True  # type: ignore[assignment]
    return layer


def stages(body: nn.Module) -> tuple[list[nn.Module], list[list[nn.Module]]]:
    """Return the layer that turns codes into numbers (`encodes`), if there is one, and the stages that follow it."""
    layers = list(layers_of(body))
    encoders = [layer for layer in layers[:1] if getattr(layer, "encodes", False)]
    parts: list[list[nn.Module]] = [[]]
    for layer in layers[len(encoders) :]:
        if getattr(layer, "starts_stage", False) and parts[-1]:
            parts.append([])
        parts[-1].append(layer)
    return encoders, parts


def places(body: nn.Module) -> tuple[str, ...]:
    """Return the names of the places at which a body's hidden values may be changed."""
    inner = len(stages(body)[1]) - 1
    return ("input", *(f"stage-{k + 1}" for k in range(inner)), "features")


class Changed(nn.Module):
    """A body whose hidden values are changed on the way.

    Args:
        body: its parameters are this module's.
        change: of the values at every place.
    """

    def __init__(self, body: nn.Module, change: Change) -> None:
        super().__init__()
        self.body = body
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        """Standardised inputs -> features (N, D)."""
        encoders, parts = stages(self.body)
        last = len(parts)
        if not encoders and not any(map(self.change.acts, range(1, last))):
            parts = [[self.body]]  # whole, perhaps compiled
        for encoder in encoders:
            x = encoder(x)
        for k, layers in enumerate(parts):
            x = self.change(x, k)
            for layer in layers:
                x = layer(x)
        return self.change(x, last)


def layers_of(body: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers in order, one as often as it is passed; a container of another type than Sequential is one."""
    if type(body) is not nn.Sequential:
        yield body
        return
    for layer in body:
        yield from layers_of(layer)
