"""The common recipe for each kind of data: one recipe for all methods of a comparison."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from longtail.data import Splits
from longtail.data.cifar import MEAN, SOURCES, STD
from longtail.engine import Recipe

SMALL_BATCH, LARGE_BATCH = 32, 128
STEPS_SMALL = 900
"""Steps that a small in-memory data set is trained for by default; see docs/decisions."""

LDAM = Recipe(model="resnet32", standardize=(MEAN, STD), precision="auto")
"""The LDAM recipe for CIFAR, shared by most of the field (its code): ResNet-32, 200 epochs, batch 128, SGD with
momentum 0.9, learning rate 0.1, weight decay 2e-4 on everything, 5 epochs of warm-up, two drops of 100x."""


def default_recipe(splits: Splits, **changes: Any) -> Recipe:
    """The common recipe of a data set, with what the user changed."""
    recipe = LDAM if splits.facts.get("source") in SOURCES else _small(len(splits.train), changes.get("batch_size"))
    return replace(recipe, **{k: v for k, v in changes.items() if v is not None})


def _small(size: int, batch_size: int | None) -> Recipe:
    """For small in-memory data: the LDAM recipe's shape, with epochs for STEPS_SMALL steps, between 20 and 200."""
    batch = batch_size or (SMALL_BATCH if size < 5000 else LARGE_BATCH)
    steps = -(-size // batch)
    return Recipe(epochs=min(200, max(20, STEPS_SMALL // steps)), batch_size=batch)


def usual_threads(recipe: Recipe) -> int:
    """CPU threads of one training: a second one costs a small network more than it gives."""
    return torch.get_num_threads() if recipe.model == "resnet32" else 1
