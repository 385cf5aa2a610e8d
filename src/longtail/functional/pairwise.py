"""The pairwise-margin family of logit adjustment. Per example; shapes as in `softmax`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from longtail.functional.margin import ldam, log_odds_against
from longtail.functional.mixtures import IGNORE, across, is_soft, mixture, widen
from longtail.functional.softmax import logit_adjusted


def pairwise(
    logits: Tensor,
    targets: Tensor,
    log_delta: Tensor,
    margins: Tensor | None = None,
    *,
    ignore_index: int = IGNORE,
) -> Tensor:
    """Pairwise-margin loss without its weight alpha.

    l(z, y) = log( 1 + sum_{k != y} e^(Delta_yk + z_k - z_y) ), Delta_yk = log(delta_k / delta_y) + margin_y

    Args:
        logits: (N, C, d1..dk).
        targets: class indices (N, d1..dk) or soft targets of the logits' shape.
        log_delta: log delta (C,); a class with -inf leaves the sum, gets no gradient, and soft targets on it
            cost nothing.
        margins: (C,), of the true class; None for zeros.
        ignore_index: the index that marks a position as ignored.

    Reference: Menon et al., Long-tail learning via logit adjustment, ICLR 2021, eq. 11.
    """
    if margins is None:
        return logit_adjusted(logits, targets, log_delta, 1.0, ignore_index=ignore_index)
    z, offset = widen(logits), across(log_delta, widen(logits))
    if not is_soft(targets):
        return ldam(z + offset, targets, margins, 1.0, ignore_index=ignore_index)
    each = F.softplus(log_odds_against(z + offset) + across(margins, z), threshold=40)
    return mixture(torch.where(torch.isneginf(offset), 0.0, each), targets)
