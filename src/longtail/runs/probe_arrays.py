"""The probes of a self-supervised run: the scores of each on the test part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from longtail.catalogue.probing import RowFeatures, full_rows, plain_features
from longtail.data import Splits
from longtail.learners.probes import Probe
from longtail.models.build import HEADS
from longtail.runs.predictor import Predictor
from longtail.runs.probe_scores import DRAW, PREFIX


@torch.no_grad()
def probe_arrays(
    predictor: Predictor, splits: Splits, probes: Iterable[Probe], known: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the scores of every probe, fitted on the features of its rows, on the test part.

    Args:
        predictor: of the encoder, whatever its own probe is.
        splits: the data.
        probes: what to fit; a probe of several draws has scores for each.
        known: name of a probe -> its scores, where they need not be computed: that of the predictor.
    """
    network, size = predictor.evaluated(), len(splits.classes)
    test = plain_features(network, splits.test)
    sources = {False: RowFeatures(network, splits.train)}
    if splits.cut_rows is not None:
        sources[True] = RowFeatures(network, full_rows(splits.train, splits.cut_rows))

    def make_head(kind: str, arguments: Mapping[str, Any]) -> nn.Module:
        return HEADS[kind](test.shape[1], size, **arguments).to(test.device)

    arrays = {}
    for probe in probes:
        for draw in range(probe.draws):
            if probe.name in known:
                arrays[PREFIX + probe.name] = known[probe.name].clone()
                continue
            name = PREFIX + probe.name + (f"{DRAW}{draw}" if probe.draws > 1 else "")
            arrays[name] = sources[probe.full].fitted(probe, make_head, draw)(test).cpu().contiguous()
    return arrays
