"""OLTR's dynamic meta-embedding: features beside what a memory of class centroids has for them."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtail.facts.knobs import Range
from longtail.models.heads.cosine import EPS, unit


@final
class MetaEmbedding(nn.Module):
    """Cosines of a feature that is enriched by a memory of centroids, the longer the nearer it is to one of them.

    m = softmax(A h + a) c,   v = h + tanh(S h + s) * m,   r = reach / min_j ||h - c_j||,
    z_j = scale (|r v| / (1 + |r v|)) <v / |v|, w_j / |w_j|>

    computed as scale reach <v, w_j / |w_j|> / (min_j ||h - c_j|| + reach |v|), which is the same and finite for a
    feature that is a centroid, where the released code divides by 0; 0 where v is 0 as well.

    The centroids c are parameters, but constants of the logits' gradient: a loss of their own trains them
    (`functional.discriminative_centroids`), from means of features (`fit`).

    Args:
        in_features, out_features: D and C.
        scale: of the cosines, > 0.
        reach: > 0.

    Shapes: features (..., D) -> logits (..., C). Parameters: `centroids` and `weight` (C, D), linear layers
    `hallucinator` (A, a), D -> C, and `selector` (S, s), D -> D.

    Initialisation: w uniform within 1 / sqrt(D), linear layers as torch does it, centroids 0.

    Reference: Liu et al. 2019, "Large-Scale Long-Tailed Recognition in an Open World", section 3, and its code.
    """

    def __init__(self, in_features: int, out_features: int, *, scale: float = 16.0, reach: float = 10.0) -> None:
        super().__init__()
        for name, size in (("in_features", in_features), ("out_features", out_features)):
            Range(1, integer=True).check(name, size)
        for name, value in (("scale", scale), ("reach", reach)):
            Range(0, open_low=True, open_high=True).check(name, value)
        self.in_features, self.out_features = in_features, out_features
        self.scale, self.reach = float(scale), float(reach)
        self.hallucinator = nn.Linear(in_features, out_features)
        self.selector = nn.Linear(in_features, in_features)
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        nn.init.uniform_(self.weight, -(in_features**-0.5), in_features**-0.5)
        self.centroids = nn.Parameter(torch.zeros(out_features, in_features))

    @torch.no_grad()
    def fit(self, centroids: Tensor, classifier: nn.Linear) -> None:
        """Start from class means (C, D) and from a trained classifier of the same features, which asks the memory."""
        self.centroids.copy_(centroids)
        self.hallucinator.weight.copy_(classifier.weight)
        self.hallucinator.bias.copy_(torch.zeros(()) if classifier.bias is None else classifier.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (..., C)."""
        centroids = self.centroids.detach()
        memory = torch.softmax(self.hallucinator(features), -1) @ centroids
        enriched = features + torch.tanh(self.selector(features)) * memory
        length = torch.linalg.vector_norm(enriched, dim=-1, keepdim=True)
        divisor = self._distance(features, centroids) + self.reach * length
        direction = enriched * torch.where(divisor > EPS, 1 / divisor.clamp(min=EPS), 0.0)
        return self.scale * self.reach * F.linear(direction, unit(self.weight))

    @staticmethod
    def _distance(features: Tensor, centroids: Tensor) -> Tensor:
        """Return the distance to the nearest centroid (..., 1), without all the differences (..., C, D) at once."""
        near = (centroids.square().sum(1) - 2 * features.detach() @ centroids.T).argmin(-1)
        distance: Tensor = torch.linalg.vector_norm(features - centroids[near], dim=-1, keepdim=True)
        return distance

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return f"in_features={self.in_features}, out_features={self.out_features}, scale={self.scale:g}"
