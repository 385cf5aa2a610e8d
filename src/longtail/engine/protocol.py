"""A recipe for CIFAR in the terms of the ledger, by which published numbers are comparable with ours or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from longtail.engine.recipe import Recipe
from longtail.facts.ledger import Protocol
from longtail.models.bodies.deep_resnet import WIDTHS_18
from longtail.models.bodies.plain_cnn import SCE_WIDTHS
from longtail.models.bodies.resnet import WIDTHS

RESNET32 = "resnet32"
DEEP = {f"resnet{depth}": f"ResNet-{depth}" for depth in (18, 34, 50, 101, 152)}
NAMED = {
    RESNET32: "ResNet-32", **DEEP, "sgd": "SGD", "sgd-nesterov": "SGD Nesterov", "adamw": "AdamW", "lars": "LARS",
}  # fmt: skip
"""Names of a recipe -> those that the ledger's protocols use."""
CHANNELS = {RESNET32: WIDTHS, "sce-cnn": SCE_WIDTHS, **dict.fromkeys(DEEP, WIDTHS_18)}


def protocol(recipe: Recipe, **known: str) -> Protocol:
    """Return the protocol of a training on CIFAR under a recipe; `select` is empty, as both selections are measured.

    Args:
        recipe: how to train.
        known: fields that follow from data and methods, such as views.
    """
    network, channels = _network(recipe)
    fields: dict[str, Any] = {
        "key": "longtail reproduce",
        "network": network,
        "width": "-".join(map(str, channels)),
        "augmentation": "crop, flip",
        "views": "1",
        "epochs": str(recipe.epochs) if recipe.steps is None else f"{recipe.epochs * recipe.steps} steps",
        "batch": str(recipe.batch_size),
        "optimizer": NAMED[recipe.optimizer],
        "lr": f"{recipe.lr:g}",
        "weight_decay": f"{recipe.weight_decay:g}",
        "schedule": _schedule(recipe),
        "subset": "by seed 0",
    }
    return Protocol(**{**fields, **known})


def _network(recipe: Recipe) -> tuple[str, Sequence[int]]:
    """The name of the network, and the channels of its stages."""
    if recipe.model == "wide_resnet":
        factor = recipe.model_args.get("width", 2)
        return f"WRN-{recipe.model_args.get('depth', 28)}-{factor}", (16 * factor, 32 * factor, 64 * factor)
    return NAMED.get(recipe.model, recipe.model), recipe.model_args.get("widths", CHANNELS.get(recipe.model, ()))


def _schedule(recipe: Recipe) -> str:
    if recipe.decay != "steps":
        return recipe.decay
    drops = ", ".join(f"{100 * share:.4g}" for share in recipe.drops)
    return "constant" if recipe.drop == 1 else f"x{recipe.drop:g} at {drops} %"
