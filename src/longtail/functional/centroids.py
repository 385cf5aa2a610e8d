"""Centroids of classes that are learnt beside the features: attraction to the own one, distance to the others."""

from __future__ import annotations

import torch
from torch import Tensor

from longtail.functional.mixtures import widen


def discriminative_centroids(
    features: Tensor,
    centroids: Tensor,
    targets: Tensor,
    *,
    attraction: float = 0.01,
    repulsion: float = 1e-4,
    margin: float = 10.0,
    weight: Tensor | None = None,
) -> Tensor:
    """OLTR's loss on features and centroids: attraction ||h - c_y||^2 / 2 + repulsion max(margin - mean d, 0), per row.

    d_i = sum_{j != y_i} ||h_i - c_j||^2 / C, its mean over the batch. A row has its own part of the second term,
    margin - d_i where mean d < margin, else 0, so that the mean over the rows is the loss.

    The gradient of the attraction is not that of its value for the centroids: c_j gets sum_{y_i = j} (c_j - h_i) /
    (1 + n_j), n_j the rows of class j in the batch, without the factor `attraction`, as in the released code. So
    centroids follow their classes by steps that do not depend on how many rows of one the batch has.

    Args:
        features: h (N, D).
        centroids: c (C, D).
        targets: class indices (N,).
        attraction, repulsion, margin: >= 0.
        weight: s >= 0 (N,) or None; a row of weight k counts as k rows.

    Returns:
        (N,), to be summed and divided by N or the sum of the weights.

    Reference: Liu et al., Large-Scale Long-Tailed Recognition in an Open World, CVPR 2019, and its code.
    """
    h = widen(features)
    c = centroids.to(h.dtype)
    s = torch.ones_like(h[:, 0]) if weight is None else weight.to(h.dtype)
    own = c[targets]
    to_centroid = (h - own.detach()).square().sum(1) / 2
    rows = torch.zeros_like(c[:, 0]).index_add(0, targets, s.detach())[targets]
    to_rows = (h.detach() - own).square().sum(1) / (2 * (1 + rows))
    pulled = attraction * to_centroid + (to_rows - to_rows.detach())  # the second part has a gradient and no value
    squared = h.square().sum(1, keepdim=True) - 2 * h @ c.T + c.square().sum(1)
    apart = squared.scatter(1, targets[:, None], 0.0).sum(1) / len(c)
    total = s.sum()
    mean = (s * apart).sum() / torch.where(total > 0, total, 1.0)
    return s * (pulled + repulsion * torch.where(mean < margin, margin - apart, 0.0))
