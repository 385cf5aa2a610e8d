"""Probes fitted on the features of a network: which rows, how augmented, and the head that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from longtail.catalogue.features import CHUNK, row_features
from longtail.data import Part
from longtail.data.training_set import joined
from longtail.learners.probes import LIVE, ONCE, SEED, Probe

MakeHead = Callable[[str, Mapping[str, Any]], nn.Module]
"""(name of a head, its arguments) -> a new one on the device of the features."""


def full_rows(rows: Part, cut: Part) -> Part:
    """Return the long-tailed rows and those that the cut left out, with their labels."""
    return joined(rows, cut, cut.targets)


class RowFeatures:
    """The features of rows in evaluation mode, extracted when first asked for.

    Args:
        network: with `features`; it is put into evaluation mode, and stays there.
        part: the rows, N.
    """

    def __init__(self, network: Any, part: Part) -> None:
        self.network, self.part = network, part
        self._extracted: dict[str, Tensor] = {}

    def of(self, views: str, rows: Tensor | None) -> Callable[[int], Tensor]:
        """Return epoch -> features of these rows (None: of all), as `Probe.views` says."""
        if views == LIVE:
            part = self.part if rows is None else self.part.take(rows.to(self.part.targets.device))
            return lambda epoch: augmented_features(self.network, part, SEED + epoch)
        if views not in self._extracted:
            extract = augmented_features if views == ONCE else plain_features
            self._extracted[views] = extract(self.network, self.part)
        values = self._extracted[views]
        chosen = values if rows is None else values[rows.to(values.device)]
        return lambda epoch: chosen

    def fitted(self, probe: Probe, make_head: MakeHead, draw: int = 0) -> nn.Module:
        """Return the head of a probe, fitted."""
        part, rows = self.part, chosen_rows(probe, self.part, draw)
        targets, weight = part.targets, part.sample_weight
        if rows is not None:
            targets = targets[rows.to(targets.device)]
        head = make_head(*probe.head(len(targets)))
        device = next(iter(head.state_dict().values())).device
        weight = None if weight is None or probe.few else weight.to(device)
        probe.fit(head, self.of(probe.views, rows), targets.to(device), weight, draw)
        return head


def chosen_rows(probe: Probe, part: Part, draw: int = 0) -> Tensor | None:
    """Return the rows of a part that a probe is fitted on; None for all."""
    return probe.rows(part.targets.cpu(), len(part.classes), draw)


def plain_features(network: Any, part: Part) -> Tensor:
    """Return the inputs of the head (N, D) of all rows, in evaluation mode, float32 at least."""
    features = row_features(network.eval(), part)
    return features if features.dtype == torch.float64 else features.float()


@torch.no_grad()
def augmented_features(network: Any, part: Part, seed: int = SEED) -> Tensor:
    """Return the inputs of the head (N, D) of all rows with the common augmentation of training rows, one draw of it.

    Images are cropped and flipped; tables and features have no such augmentation.
    """
    network.eval()
    device = next(iter(network.state_dict().values())).device
    values: Tensor | None = None
    for batch in part.drawn(CHUNK).batches(0.0, torch.Generator().manual_seed(seed)):
        inputs: Any = batch["inputs"]
        h: Tensor = network.features(inputs.to(device))
        h = h if h.dtype == torch.float64 else h.float()
        values = h.new_empty(len(part), h.shape[1]) if values is None else values
        values[batch["index"].to(device)] = h
    assert values is not None
    return values
