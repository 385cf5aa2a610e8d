"""Contrastive losses of two views of the same examples. Per example, not reduced."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from longtail.functional.mixtures import Value, widen


def nt_xent(first: Tensor, second: Tensor, t: Value = 0.2) -> Tensor:
    """NT-Xent: each projection must find its partner among the 2N - 1 others.

    l_i = (a_i + b_i) / 2,   a_i = -log( exp(s(u_i, v_i) / t) / sum_{k != i} exp(s(u_i, w_k) / t) )

    s is the cosine, u_i and v_i the projections of the two views of example i, w all 2N projections; b_i is a_i with
    the views exchanged. The positive is in the denominator, the anchor itself is not. By log-softmax: released code
    exponentiates the similarities and overflows in float32 at t = 0.01.

    Args:
        first, second: u and v (N, D), not normalised.
        t: temperature > 0, a float or a 0-dim tensor.

    Returns:
        (N,), float32 or wider; 0 for a single example, which has no negatives.

    Reference: Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020, eq. 1.
    """
    z = F.normalize(widen(torch.cat([first, second])), dim=1)
    anchors = torch.arange(len(z), device=z.device)
    similar = (z @ z.T / t).masked_fill(anchors[:, None] == anchors, -torch.inf)
    return F.cross_entropy(similar, anchors.roll(len(first)), reduction="none").view(2, -1).mean(0)
