"""The structure of all our networks: standardise, make features, classify."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from longtail.facts.types import Outputs
from longtail.models.standardize import Standardize


@final
class Network(nn.Module):
    """inputs -> Outputs(logits (N, C), features (N, D)), from three parts.

    Args:
        standardize: the inputs' scale; `network.standardize.fit(training_inputs)` before training.
        body: standardised inputs -> features (N, D).
        head: features -> logits (N, C), or (N, E, C) of E experts, whose mean are the logits and which are in
            `extra["experts"]`.
        precision: "bfloat16" runs the body under autocast; standardisation and head stay in float32 (a margin of
            0.01 on a cosine is below bfloat16's resolution).
    """

    def __init__(self, standardize: Standardize, body: nn.Module, head: nn.Module, precision: str = "float32") -> None:
        super().__init__()
        self.precision = precision
        self.standardize = standardize
        self.body = body
        self.head = head

    def forward(self, inputs: Tensor) -> Outputs:
        """Logits, and the features that enter the head."""
        features = self.features(inputs)
        logits = self.head(features)
        if logits.ndim == 3:
            return Outputs(logits.mean(1), features, {"experts": logits})
        return Outputs(logits, features)

    def features(self, inputs: Tensor) -> Tensor:
        """Return the input of the head (N, D)."""
        x = self.standardize(inputs)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            features: Tensor = self.body(x)
        # a head of the user's own may be in another dtype; in plain float32 this is no copy
        return features.to(x.dtype)
