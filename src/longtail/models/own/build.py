"""Take the last layer off a user's network, and build one of ours around the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

from torch import Tensor, nn

from longtail.facts.types import as_outputs
from longtail.models.build import make_head, standardization
from longtail.models.heads.exchange import find_head, replace_module
from longtail.models.network import Network
from longtail.models.own.factory import Factory, make

OWN = "own"
"""The name of these networks in meta.json, beside those of `models.build`."""


@final
class OwnBody(nn.Module):
    """inputs -> features (N, D): a user's network without its last `nn.Linear`."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the inputs of the removed layer."""
        return as_outputs(self.model(inputs)).logits


def build_own(
    factory: Factory,
    *,
    input_shape: Sequence[int],
    num_classes: int,
    head: str = "linear",
    head_args: Mapping[str, Any] | None = None,
    precision: str = "float32",
) -> Network:
    """Build a network around the factory's: standardisation, its body, and its own last layer or another head.

    Arguments as in `models.build`; the last layer is exchanged unless the head is "linear".

    Raises:
        ValueError: the factory raises an error, or makes no network that ends in an `nn.Linear` of C outputs.
    """
    shape = tuple(input_shape)
    body, classifier = split(make(factory, num_classes, shape), num_classes)
    exchanged = classifier if head == "linear" else make_head(head, classifier.in_features, num_classes, head_args)
    return Network(standardization(shape), body, exchanged, precision)


def split(model: nn.Module, num_classes: int) -> tuple[OwnBody, nn.Linear]:
    """Return a network without its last `nn.Linear`, and that layer; the network is changed. Raises as `last_layer`."""
    head = last_layer(model, num_classes)
    if head is model:
        return OwnBody(nn.Identity()), head
    replace_module(model, head, nn.Identity())
    return OwnBody(model), head


def last_layer(model: nn.Module, num_classes: int) -> nn.Linear:
    """Return the layer that a network ends in.

    Raises:
        ValueError: it is no `nn.Linear` of C outputs, or a layer has no size yet.
    """
    must = f"network must end in an nn.Linear of {num_classes} outputs, one per class"
    lazy = [name for name, value in model.named_parameters() if isinstance(value, nn.parameter.UninitializedParameter)]
    if lazy:
        raise ValueError(f"network must have no lazy layers, got {lazy[0]!r}; take input_shape= to size them")
    if not any(isinstance(module, nn.Linear) for module in model.modules()):
        raise ValueError(f"{must}, got a {type(model).__name__} without any; add one as its last layer")
    name, head = find_head(model)
    if not isinstance(head, nn.Linear) or head.out_features != num_classes:
        size = getattr(head, "out_features", "other")
        raise ValueError(
            f"{must}, got a {type(head).__name__} of {size} outputs{f' as {name!r}' if name else ''}; "
            "register that layer last and size it by num_classes"
        )
    return head
