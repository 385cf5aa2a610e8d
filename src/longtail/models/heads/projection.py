"""A projection in place of a classifier: what contrastive learning compares."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from longtail.facts.knobs import Range


@final
class Projection(nn.Module):
    """features (N, D) -> projections (N, dim): two layers with a ReLU between them; no classes.

    Args:
        in_features: D.
        out_features: the number of classes, which a projection has no use for.
        dim: width of the projections.
        hidden: width between the layers; 0 means D.

    Reference: Chen et al. 2020 (SimCLR), section 2.1.
    """

    def __init__(self, in_features: int, out_features: int, *, dim: int = 128, hidden: int = 0) -> None:
        super().__init__()
        Range(1, integer=True).check("dim", dim)
        Range(0, integer=True).check("hidden", hidden)
        self.in_features, self.out_features = in_features, dim
        width = hidden or in_features
        self.layers = nn.Sequential(nn.Linear(in_features, width), nn.ReLU(), nn.Linear(width, dim))

    def forward(self, features: Tensor) -> Tensor:
        """Projections (N, dim), not normalised."""
        projected: Tensor = self.layers(features)
        return projected
