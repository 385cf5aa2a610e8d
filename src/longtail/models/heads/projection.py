"""A projection in place of a classifier: what contrastive learning compares."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, final

from torch import Tensor, nn

from longtail.facts.knobs import Choice, Range

LAST = Choice(("affine", "plain", "none"))
"""The batch norm of the last layer: with affine parameters, without, or no batch norm and a bias."""


@final
class Projection(nn.Module):
    """features (N, D) -> projections (N, dim): Linear, BatchNorm, ReLU, Linear without bias, BatchNorm; no classes.

    Args:
        in_features: D.
        out_features: the number of classes, which a projection has no use for.
        dim: width of the projections; 0 means that between the layers.
        hidden: width between the layers; 0 means `wider` times D.
        norm: whether the linear layers have batch norms; without, the last layer has a bias.
        layers: the number of linear layers.
        last: see `LAST`.
        wider: see `hidden`.
        most: upper limit of a width that follows from D; 0 means none.

    Reference: Chen et al. 2020 (SimCLR), section 2, there without the norms; their code, and that of SDCLR, BCL and TS
    for long-tailed CIFAR, has them, the last one with its affine parameters. Chen and He 2021 (SimSiam): three layers,
    the last norm without. Grill et al. 2020 (BYOL): no last norm.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        dim: int = 128,
        hidden: int = 0,
        norm: bool = True,
        layers: int = 2,
        last: Annotated[str, LAST] = "affine",
        wider: int = 1,
        most: int = 0,
    ) -> None:
        super().__init__()
        for name, value, low in (("dim", dim, 0), ("hidden", hidden, 0), ("layers", layers, 1), ("wider", wider, 1)):
            Range(low, integer=True).check(name, value)
        LAST.check("last", last)
        width = hidden or min(wider * in_features, most or wider * in_features)
        self.in_features, self.out_features = in_features, dim or width
        widths = [in_features, *[width] * (layers - 1)]
        parts: list[nn.Module] = []
        for before, after in pairwise(widths):
            parts += [nn.Linear(before, after), *([nn.BatchNorm1d(after)] if norm else []), nn.ReLU()]
        ends = last if norm else "none"
        parts.append(nn.Linear(widths[-1], self.out_features, bias=ends == "none"))
        if ends != "none":
            parts.append(nn.BatchNorm1d(self.out_features, affine=ends == "affine"))
        self.layers = nn.Sequential(*parts)

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
