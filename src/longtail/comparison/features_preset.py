"""Presets on embeddings: linear classifiers, with a learning rate of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from longtail.catalogue.method import Method
from longtail.catalogue.resolve import split_specs
from longtail.data import Splits
from longtail.data.read.dispatch import NAMES
from longtail.methods.presets import FEATURES

PRACTICE = "practice"

FEATURES_LR = 0.01
"""Learning rate of linear models on embeddings: that of LIFT."""


def asks_for_features(methods: str | Iterable[str | Method], splits: Splits) -> bool:
    """Whether the preset `features` is among the methods, or `practice` on embeddings, which then has it, too."""
    asked = split_specs(methods) if isinstance(methods, str) else list(methods)
    return FEATURES in asked or (PRACTICE in asked and are_embeddings(splits))


def are_embeddings(splits: Splits) -> bool:
    """Whether examples are rows of numbers of no table, as an encoder gives them; the built-in digits are pixels."""
    of_table = getattr(splits.preparation, "kind", None) == "table"
    return len(splits.train.input_shape) == 1 and not of_table and splits.facts.get("source") not in NAMES


def on_features(splits: Splits, recipe_options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a recipe for classifiers on the features as they are: linear, where no model is named.

    Raises:
        ValueError: the inputs are images.
    """
    if len(splits.train.input_shape) > 1:
        raise ValueError(
            f"methods features is for features (N, D), got images of shape {tuple(splits.train.input_shape)}; embed "
            "them first and pass the embeddings (--features FILE), or choose another preset"
        )
    given = {name: value for name, value in recipe_options.items() if value is not None}
    if given.get("model", "auto") != "auto":
        return recipe_options
    given.setdefault("lr", FEATURES_LR)
    if getattr(splits.preparation, "kind", None) == "table":
        return {**given, "model_args": {"hidden": [], **given.get("model_args", {})}}
    return {**given, "model": "linear"}
