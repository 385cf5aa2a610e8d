"""A trained network as it is evaluated: in evaluation mode, its batch norms fused, some rows at once."""

from __future__ import annotations

import copy
from itertools import chain

import torch
from torch import Tensor, nn

from longtail.facts.types import as_outputs
from longtail.models.conv_bn_fusion import merge_batch_norms

EVALUATED = 256
"""Rows evaluated at once: enough for the processor's units, few enough for its caches."""


class Evaluated:
    """The network of a model, fused anew when one of its weights has changed."""

    def __init__(self) -> None:
        self._merged: tuple[tuple[int, ...], nn.Module] | None = None

    def of(self, network: nn.Module) -> nn.Module:
        """Return the network in evaluation mode with its batch norms fused."""
        network.eval()
        versions = tuple(t._version for t in chain(network.parameters(), network.buffers()))
        if self._merged is None or self._merged[0] != versions:
            self._merged = (versions, merge_batch_norms(copy.deepcopy(network)))
        return self._merged[1]


def logits(network: nn.Module, inputs: Tensor, device: torch.device, batch_size: int) -> Tensor:
    """Return the logits (N, C) float32 of prepared inputs."""
    return torch.cat([as_outputs(network(x.to(device))).logits.float() for x in torch.split(inputs, batch_size)])


def features(network: nn.Module, inputs: Tensor, device: torch.device, batch_size: int) -> Tensor:
    """Return the features (N, D) float32 that enter the classifier, of prepared inputs.

    Raises:
        ValueError: a network without features (scikit-learn's classifiers).
    """
    parts = [as_outputs(network(x.to(device))).features for x in torch.split(inputs, batch_size)]
    known = [part.float() for part in parts if part is not None]
    if len(known) < len(parts):
        raise ValueError(
            "the model has no features to embed by (it is no network of longtail's); write predictions to a .csv"
        )
    return torch.cat(known)
