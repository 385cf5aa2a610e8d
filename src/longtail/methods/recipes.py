"""The common recipe for each kind of data: one recipe for all methods of a comparison."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from longtail.data import Splits
from longtail.engine import Recipe

SMALL_BATCH, LARGE_BATCH = 32, 128
STEPS_SMALL = 900
"""Steps that a small in-memory data set is trained for by default; see docs/decisions."""


def default_recipe(splits: Splits, **changes: Any) -> Recipe:
    """The common recipe of a small in-memory data set, with what the user changed.

    SGD with momentum 0.9, learning rate 0.1 with warm-up, two drops of 100x at 80 and 90 % of the epochs (the
    LDAM recipe's shape) and as many epochs as make STEPS_SMALL steps, at least 20 and at most 200.
    """
    size = len(splits.train)
    batch = changes.get("batch_size") or (SMALL_BATCH if size < 5000 else LARGE_BATCH)
    steps = -(-size // batch)
    epochs = min(200, max(20, STEPS_SMALL // steps))
    recipe = Recipe(epochs=epochs, batch_size=batch)
    return replace(recipe, **{k: v for k, v in changes.items() if v is not None})
