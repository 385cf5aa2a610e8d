"""Several classifiers on one body: experts, whose mean is the prediction."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from longtail.facts.knobs import Choice, Range
from longtail.models.heads.cosine import CosineClassifier

KINDS = {"linear": nn.Linear, "cosine": CosineClassifier}
KIND = Choice(tuple(KINDS))


@final
class Experts(nn.Module):
    """features (N, D) -> logits (N, E, C) of E experts; the network averages them and keeps them in `extra["experts"]`.

    Args:
        in_features, out_features: D and C.
        experts: E.
        kind: what each expert classifies with, "linear" or "cosine".
        hidden: width of a layer with a ReLU of each expert's own before its classifier; 0 for none.
        own_features: whether each expert reads its own E-th part of the features, from the branches of a body, instead
            of all of them.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        experts: int = 3,
        kind: str = "cosine",
        hidden: int = 0,
        own_features: bool = False,
    ) -> None:
        super().__init__()
        Range(1, integer=True).check("experts", experts)
        Range(0, integer=True).check("hidden", hidden)
        KIND.check("kind", kind)
        self.in_features, self.out_features = in_features, out_features
        self.own_features = own_features
        if own_features and in_features % experts:
            raise ValueError(
                f"experts must divide the features into equal parts, got {experts} of {in_features}; build the body "
                f"with branches={experts}"
            )
        width = in_features // experts if own_features else in_features
        self.experts = nn.ModuleList(_expert(width, out_features, KINDS[kind], hidden) for _ in range(experts))

    def forward(self, features: Tensor) -> Tensor:
        """Logits (N, E, C)."""
        if self.own_features:
            parts = features.chunk(len(self.experts), dim=-1)
            return torch.stack([expert(part) for expert, part in zip(self.experts, parts, strict=True)], dim=1)
        return torch.stack([expert(features) for expert in self.experts], dim=1)


def _expert(in_features: int, out_features: int, kind: type[nn.Module], hidden: int) -> nn.Module:
    if hidden == 0:
        return kind(in_features, out_features)
    return nn.Sequential(nn.Linear(in_features, hidden), nn.ReLU(), kind(hidden, out_features))
