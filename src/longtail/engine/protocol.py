"""A recipe for CIFAR in the terms of the ledger, by which published numbers are comparable with ours or not."""

from __future__ import annotations

from longtail.engine.recipe import DROPS, Recipe
from longtail.facts.ledger import Protocol
from longtail.models.bodies.resnet import WIDTHS

RESNET32 = "resnet32"
NAMED = {RESNET32: "ResNet-32", "sgd": "SGD", "adamw": "AdamW"}
"""Names of a recipe -> those that the ledger's protocols use."""


def protocol(recipe: Recipe) -> Protocol:
    """Return the protocol of a training on CIFAR under a recipe; `select` is empty, as both selections are measured."""
    drops = ", ".join(f"{100 * share:g}" for share in DROPS)
    return Protocol(
        key="longtail reproduce",
        network=NAMED.get(recipe.model, recipe.model),
        width="-".join(map(str, recipe.model_args.get("widths", WIDTHS))) if recipe.model == RESNET32 else "",
        augmentation="crop, flip",
        views="1",
        epochs=str(recipe.epochs),
        batch=str(recipe.batch_size),
        optimizer=NAMED[recipe.optimizer],
        lr=f"{recipe.lr:g}",
        weight_decay=f"{recipe.weight_decay:g}",
        schedule=f"x{recipe.drop:g} at {drops} %" if recipe.decay == "steps" else recipe.decay,
        subset="by seed 0",
    )
