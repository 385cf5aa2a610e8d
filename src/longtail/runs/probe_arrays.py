"""The probes of a self-supervised run: the scores of each on the test part."""

from __future__ import annotations

import torch
from torch import Tensor

from longtail.data import Splits
from longtail.learners.probes import PROBES
from longtail.models.build import HEADS
from longtail.runs.predictor import Predictor
from longtail.runs.probe_scores import PREFIX


def probe_arrays(predictor: Predictor, splits: Splits) -> dict[str, Tensor]:
    """Return the scores of every probe, fitted on the features of the training part, on the test part.

    Args:
        predictor: of the encoder, whatever its own probe is.
        splits: the data.
    """
    rows, size = splits.train, len(splits.classes)
    train, test = (torch.cat([predictor.features(x) for x in part.chunks(1024)]) for part in (rows, splits.test))
    arrays = {}
    for name, probe in PROBES.items():
        kind, arguments = probe.head(len(rows))
        head = HEADS[kind](train.shape[1], size, **arguments).to(train.device)
        probe.fit(head, train, rows.targets.to(train.device), rows.sample_weight)
        with torch.no_grad():
            arrays[PREFIX + name] = head(test).cpu().contiguous()
    return arrays
