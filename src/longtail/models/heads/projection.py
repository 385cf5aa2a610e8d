"""A projection in place of a classifier: what contrastive learning compares."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from longtail.facts.knobs import Range


@final
class Projection(nn.Module):
    """features (N, D) -> projections (N, dim): Linear, BatchNorm, ReLU, Linear without bias, BatchNorm; no classes.

    Args:
        in_features: D.
        out_features: the number of classes, which a projection has no use for.
        dim: width of the projections.
        hidden: width between the layers; 0 means D.
        norm: whether each linear layer has a batch norm; without, the last layer has a bias.

    Reference: Chen et al. 2020 (SimCLR), section 2, there without the norms; their code, and that of SDCLR, BCL and TS
    for long-tailed CIFAR, has them, the last one with its affine parameters.
    """

    def __init__(
        self, in_features: int, out_features: int, *, dim: int = 128, hidden: int = 0, norm: bool = True
    ) -> None:
        super().__init__()
        Range(1, integer=True).check("dim", dim)
        Range(0, integer=True).check("hidden", hidden)
        self.in_features, self.out_features = in_features, dim
        width = hidden or in_features
        first, last = nn.Linear(in_features, width), nn.Linear(width, dim, bias=not norm)
        if norm:
            self.layers = nn.Sequential(first, nn.BatchNorm1d(width), nn.ReLU(), last, nn.BatchNorm1d(dim))
        else:
            self.layers = nn.Sequential(first, nn.ReLU(), last)

    def forward(self, features: Tensor) -> Tensor:
        """Projections (N, dim), not normalised."""
        projected: Tensor = self.layers(features)
        return projected

    def hidden(self, features: Tensor) -> Tensor:
        """Return what enters the last linear layer (N, hidden)."""
        last = max(i for i, layer in enumerate(self.layers) if isinstance(layer, nn.Linear))
        hidden: Tensor = self.layers[:last](features)
        return hidden

    def regressor(self) -> nn.Sequential:
        """Return a new head of these layers without the last norm, from projections (N, dim) to as many numbers."""
        *_, last = (i for i, layer in enumerate(self.layers) if isinstance(layer, nn.Linear))
        parts: list[nn.Module] = []
        for i, layer in enumerate(list(self.layers)[: last + 1]):
            if isinstance(layer, nn.Linear):
                parts.append(nn.Linear(self.out_features if i == 0 else layer.in_features, layer.out_features))
            else:
                parts.append(nn.BatchNorm1d(layer.num_features) if isinstance(layer, nn.BatchNorm1d) else nn.ReLU())
        return nn.Sequential(*parts)
