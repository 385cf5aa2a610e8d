"""Learning what other networks have learnt, by regression."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from longtail.functional.mixtures import widen
from longtail.functional.similarity import check_pair


def unit_regression(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return ||p - t / ||t|| ||^2 / 2 of every row (N,): targets of length 1, predictions as they are.

    Args:
        predictions: (N, P).
        targets: (N, P), without a graph; a row of zeros stays.

    Reference: Tian et al., Divide and Contrast, ICCV 2021, the loss of the distillation.
    """
    check_pair(predictions, targets, ("predictions", "targets"))
    return (widen(predictions) - F.normalize(widen(targets), dim=1)).square().sum(1) / 2
