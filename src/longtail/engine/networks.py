"""Networks from their JSON arguments: those of longtail, of the user, and fitted classifiers."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from longtail import models
from longtail.engine.shapes_only import WithoutValues
from longtail.learners import FittedEstimator


def build(builder: dict[str, Any], factory: models.Factory | None = None) -> nn.Module:
    """Build a network from its JSON arguments, which it keeps as `builder` for saving.

    Args:
        builder: as `Recipe.builder` returns it.
        factory: makes the network where it is the user's own.
    """
    if builder["name"] == "estimator":  # never a recipe's model: it is part of the state
        return FittedEstimator(builder["num_classes"])
    arguments = {k: v for k, v in builder.items() if k != "name"}
    arguments["input_shape"] = tuple(arguments["input_shape"])
    if factory is None:
        network = models.build(builder["name"], **arguments)
    else:
        network = models.build_own(factory, **{k: v for k, v in arguments.items() if k not in ("factory", "structure")})
    network.builder = builder  # type: ignore[assignment]
    return network


def sketch(builder: dict[str, Any], factory: models.Factory | None = None) -> nn.Module:
    """Return the network with shapes only: no memory, no random numbers. One of the user's is built as it is."""
    if factory is not None:  # its code may compute with values
        with torch.random.fork_rng(devices=[]):
            return build(builder, factory)
    with torch.device("meta"), WithoutValues():
        return build(builder)
