"""The probes of a self-supervised run: the scores of each on the test part."""

from __future__ import annotations

import torch
from torch import Tensor

from longtail.data import Part, Splits
from longtail.facts.types import as_outputs
from longtail.learners.probes import PROBES
from longtail.models.build import HEADS
from longtail.runs.predictor import EVALUATED, Predictor
from longtail.runs.probe_scores import PREFIX


@torch.no_grad()
def probe_arrays(predictor: Predictor, splits: Splits) -> dict[str, Tensor]:
    """Return the scores of every probe, fitted on the features of the training part, on the test part.

    Args:
        predictor: of the encoder, whatever its own probe is.
        splits: the data.
    """
    rows, size = splits.train, len(splits.classes)
    train, test = (_features(predictor, part) for part in (rows, splits.test))
    arrays = {}
    for name, probe in PROBES.items():
        kind, arguments = probe.head(len(rows))
        head = HEADS[kind](train.shape[1], size, **arguments).to(train.device)
        probe.fit(head, train, rows.targets.to(train.device), rows.sample_weight)
        arrays[PREFIX + name] = head(test).cpu().contiguous()
    return arrays


def _features(predictor: Predictor, part: Part) -> Tensor:
    """Return the features (N, D) that enter the head, in evaluation mode."""
    network, device = predictor.evaluated(), predictor.class_counts.device
    features = [as_outputs(network(inputs.to(device))).features for inputs in part.chunks(EVALUATED)]
    return torch.cat([part.float() for part in features if part is not None])
