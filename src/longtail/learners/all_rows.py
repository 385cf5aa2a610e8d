"""A pass over all training rows at once: what a network gives for them as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import nn

from longtail.facts.types import Outputs, as_outputs

CHUNK = 1024
"""Rows whose outputs are computed at a time."""


@torch.no_grad()
def all_outputs(network: nn.Module, data: Any) -> Outputs:
    """Return the logits (N, C) and features (N, D) of all rows in their order, in evaluation mode and not augmented.

    Batch norms and modes are left as they are; features are None where the network gives none. It costs one forward
    pass of every row.
    """
    device = next(chain(network.parameters(), network.buffers())).device
    with evaluating(network):
        parts = [as_outputs(network(x.to(device))) for x in plain_rows(data).chunks(CHUNK)]
    features = [part.features for part in parts if part.features is not None]
    return Outputs(torch.cat([part.logits for part in parts]), torch.cat(features) if features else None)


def plain_rows(data: Any) -> Any:
    """Return the labelled rows behind batches that have further sources, or whose views are changed."""
    while not hasattr(data, "chunks"):
        data = data.main if hasattr(data, "main") else data.rows
    return data


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Inside, a network is in evaluation mode; on exit every module of it is in its own again."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
