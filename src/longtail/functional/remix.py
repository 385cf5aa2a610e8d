"""The label of a mixed example by the counts of its two classes."""

from __future__ import annotations

import torch
from torch import Tensor


def remix_share(
    share: Tensor, own_counts: Tensor, partner_counts: Tensor, kappa: float = 3.0, tau: float = 0.5
) -> Tensor:
    """Return k, the part of the label that is the row's own, of x = l x_a + (1 - l) x_b; k (B,) in [0, 1].

    k = 0 where n_a / n_b >= kappa and l < tau, k = 1 where n_a / n_b <= 1 / kappa and 1 - l < tau, else k = l: the
    rarer class may get the whole label. The loss is k L(z, y_a) + (1 - k) L(z, y_b).

    Args:
        share: l in [0, 1], 0-dim or (B,).
        own_counts: n_a > 0 (B,), training examples of the rows' classes.
        partner_counts: n_b > 0 (B,).
        kappa: >= 1.
        tau: in [0, 1]; 0 is mixup.

    Reference: Chou et al., Remix: Rebalanced Mixup, ECCV Workshops 2020.
    """
    own = share.expand(own_counts.shape)
    own = torch.where((partner_counts >= kappa * own_counts) & (1 - share < tau), 1.0, own)
    return torch.where((own_counts >= kappa * partner_counts) & (share < tau), 0.0, own)
