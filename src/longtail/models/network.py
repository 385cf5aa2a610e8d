"""The one shape of our networks: standardise, make features, classify."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from longtail.models.standardize import Standardize
from longtail.types import Outputs


@final
class Network(nn.Module):
    """inputs -> Outputs(logits (N, C), features (N, D)); varied by its three parts.

    Args:
        standardize: the inputs' scale; `network.standardize.fit(training_inputs)` before training.
        body: standardised inputs -> features (N, D).
        head: features -> logits (N, C).
    """

    def __init__(self, standardize: Standardize, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.standardize = standardize
        self.body = body
        self.head = head

    def forward(self, inputs: Tensor) -> Outputs:
        """Logits, and the features that enter the head."""
        features = self.body(self.standardize(inputs))
        return Outputs(self.head(features), features)
