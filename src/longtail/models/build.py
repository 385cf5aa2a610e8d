"""Networks by name: what is saved is the name and its JSON arguments, beside the weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn

from longtail.models.bodies.deep_resnet import resnet18, resnet34, resnet50, resnet101, resnet152
from longtail.models.bodies.densenet import densenet
from longtail.models.bodies.plain_cnn import coteaching_cnn, sce_cnn
from longtail.models.bodies.preact_resnet import preact_resnet18
from longtail.models.bodies.resnet import resnet32
from longtail.models.bodies.small import Body, convnet, linear, mlp
from longtail.models.bodies.tabular import tabular
from longtail.models.bodies.wide_resnet import wide_resnet
from longtail.models.heads.cosine import CosineClassifier
from longtail.models.heads.experts import Experts
from longtail.models.heads.frame import FrameClassifier
from longtail.models.heads.meta_embedding import MetaEmbedding
from longtail.models.heads.nearest import NearestClassMean
from longtail.models.heads.neighbours import Neighbours
from longtail.models.heads.projection import Projection
from longtail.models.heads.scale import rescaled
from longtail.models.heads.unit_linear import UnitLinear
from longtail.models.network import Network
from longtail.models.standardize import Standardize

BUILDERS: dict[str, Callable[..., Body]] = {
    "linear": linear,
    "mlp": mlp,
    "convnet": convnet,
    "resnet18": resnet18,
    "resnet32": resnet32,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "resnet101": resnet101,
    "resnet152": resnet152,
    "densenet": densenet,
    "wide_resnet": wide_resnet,
    "sce-cnn": sce_cnn,
    "coteaching-cnn": coteaching_cnn,
    "preact-resnet18": preact_resnet18,
    "tabular": tabular,
}
"""name -> builder of the body; `build` lists its further arguments."""

RESIDUAL = (
    "resnet18", "resnet32", "resnet34", "resnet50", "resnet101", "resnet152", "densenet", "wide_resnet", "sce-cnn",
    "coteaching-cnn", "preact-resnet18",
)  # fmt: skip
"""Deep networks for images: all CPU threads and, in precision "auto", bfloat16 pay for them."""

HEADS: dict[str, Callable[..., nn.Module]] = {
    "linear": nn.Linear,
    "cosine": CosineClassifier,
    "experts": Experts,
    "frame": FrameClassifier,
    "meta-embedding": MetaEmbedding,
    "ncm": NearestClassMean,
    "neighbours": Neighbours,
    "projection": Projection,
    "rescaled": rescaled,
    "unit-linear": UnitLinear,
}
"""name -> (D, C, further arguments) -> head. Every structure has a name, so that every trained model loads again."""


def build(
    name: str,
    *,
    input_shape: Sequence[int],
    num_classes: int,
    head: str = "linear",
    head_args: Mapping[str, Any] | None = None,
    precision: str = "float32",
    **args: Any,
) -> Network:
    """Build a network, initialised from torch's global generator.

    Args:
        name: "linear", "mlp", "convnet", "resnet18", "resnet32", "resnet34", "resnet50", "resnet101", "resnet152",
            "densenet", "wide_resnet", "sce-cnn", "coteaching-cnn", "preact-resnet18" or "tabular".
        input_shape: of one example: (D,), (H, W) or (C, H, W).
        num_classes: C >= 2.
        head: "linear", "cosine" for margin losses, "experts", "frame" (fixed vectors), "meta-embedding" (OLTR's),
            "ncm" (nearest class mean), "neighbours" (k nearest neighbours), "projection", "rescaled" (linear, one
            scale per class behind it) or "unit-linear" (on features of length 1).
        head_args: its further arguments, plain JSON too.
        precision: "float32", or "bfloat16" or "float16" for the body under autocast.
        args: mlp(hidden=(128, 128), dropout=0.0), convnet(width=16), resnet18, -34, -50, -101 and -152 (stem="auto",
            zero_init=False), densenet(depth=100, growth=12, compression=0.5), wide_resnet(depth=28, width=2,
            momentum=0.001), coteaching-cnn(dropout=0.25), preact-resnet18(narrow=1.0), tabular(numeric, categories,
            hidden, dropout). For experts and branches with layers of their own: of all but sce-cnn, coteaching-cnn and
            preact-resnet18 branches=1 and late=False, of these but densenet and wide_resnet narrow=1.0. For the last
            map of convnet, resnet32, densenet and wide_resnet: attention=False. All are plain JSON.

    Raises:
        ValueError: an unknown name, head or argument, or a shape that the network cannot take.
    """
    make = _look_up("name", name, BUILDERS)
    _look_up("head", head, HEADS)
    _check_arguments(name, make, 1, args)
    shape = tuple(int(size) for size in input_shape)
    if len(shape) not in (1, 2, 3) or min(shape) < 1:
        raise ValueError(f"input_shape must be (D,), (H, W) or (C, H, W), got {shape}; it leaves out N")
    if num_classes < 2:
        raise ValueError(f"num_classes must be >= 2, got {num_classes}; there is nothing to classify")
    body, features = make(shape, **args)
    classifier = make_head(head, features, num_classes, head_args)
    if name == "resnet32" and isinstance(classifier, nn.Linear):
        nn.init.kaiming_normal_(classifier.weight)  # the code's rule for every Linear; its bias keeps torch's own
    if name == "sce-cnn" and isinstance(classifier, nn.Linear):
        nn.init.kaiming_normal_(classifier.weight)
        if classifier.bias is not None:
            nn.init.zeros_(classifier.bias)
    if name == "wide_resnet" and isinstance(classifier, nn.Linear):
        nn.init.xavier_normal_(classifier.weight)
        if classifier.bias is not None:
            nn.init.zeros_(classifier.bias)
    network = Network(standardization(shape), body, classifier, precision)
    # the fastest layout of 3x3 convolutions on CPU and GPU alike; values and state_dict stay the same
    if name in RESIDUAL:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def standardization(input_shape: Sequence[int]) -> Standardize:
    """Return the standardisation of inputs of this shape, not fitted."""
    return Standardize(1 if len(input_shape) == 2 else input_shape[0])


def make_head(name: str, features: int, num_classes: int, args: Mapping[str, Any] | None = None) -> nn.Module:
    """Return a new head on D features, initialised from torch's global generator.

    Raises:
        ValueError: an unknown head or argument.
    """
    make = _look_up("head", name, HEADS)
    _check_arguments(f"head {name}", make, 2, args or {})
    head: nn.Module = make(features, num_classes, **(args or {}))
    return head


def _check_arguments(name: str, make: Callable[..., Any], given: int, args: Mapping[str, Any]) -> None:
    """Raise ValueError where an argument is none of those that follow the first `given`."""
    accepted = list(inspect.signature(make).parameters)[given:]
    for argument in args:
        if argument not in accepted:
            raise ValueError(
                f"arguments of {name} must be among {', '.join(accepted) or 'none'}, got {argument!r}; leave it out"
            )


def body_arguments(name: str) -> frozenset[str]:
    """Return the names of the further arguments of a network."""
    return frozenset(list(inspect.signature(BUILDERS[name]).parameters)[1:])


def _look_up(kind: str, word: str, table: dict[str, Any]) -> Any:
    if word in table:
        return table[word]
    near = get_close_matches(str(word), table, n=1)
    hint = f'did you mean "{near[0]}"?' if near else "choose one of these"
    raise ValueError(f"{kind} must be one of {', '.join(table)}, got {word!r}; {hint}")
