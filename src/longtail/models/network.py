"""The structure of all our networks: standardise, make features, classify."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from longtail.facts.types import Outputs
from longtail.models.bodies.branches import OneBranch
from longtail.models.bodies.stages import Change, Changed, places
from longtail.models.gradient_scale import START, scaled_call
from longtail.models.standardize import Standardize

HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
"""Precision -> dtype of the body under autocast."""


@final
class Network(nn.Module):
    """inputs -> Outputs(logits (N, C), features (N, D)), from three parts.

    Args:
        standardize: the inputs' scale; `network.standardize.fit(training_inputs)` before training.
        body: standardised inputs -> features (N, D).
        head: features -> logits (N, C), or (N, E, C) of E experts, whose mean are the logits and which are in
            `extra["experts"]`.
        precision: "bfloat16" and "float16" run the body under autocast; standardisation and head stay in float32 (a
            margin of 0.01 on a cosine is below bfloat16's resolution).

    Attributes:
        gradient_scale: of a float16 body's gradients, inside of it (`models.gradient_scale`), 0-dim; not in state_dict.
            An optimiser moves it (`engine.gradient_scaler`). None in other precisions.
    """

    gradient_scale: Tensor

    def __init__(self, standardize: Standardize, body: nn.Module, head: nn.Module, precision: str = "float32") -> None:
        super().__init__()
        self.precision = precision
        self.standardize = standardize
        self.body = body
        self.head = head
        scale = torch.tensor(START) if precision == "float16" else None
        self.register_buffer("gradient_scale", scale, persistent=False)

    @property
    def places(self) -> tuple[str, ...]:
        """Names of the places at which hidden values may be changed: "input", "stage-1", ..., "features"."""
        return places(self.body)

    def forward(self, inputs: Tensor, change: Change | None = None) -> Outputs:
        """Logits, and the features that enter the head; `change` is one of hidden values, such as their mixing."""
        features = self.features(inputs) if change is None else self.features(inputs, change)
        logits = self.head(features)
        if logits.ndim == 3:
            return Outputs(logits.mean(1), features, {"experts": logits})
        return Outputs(logits, features)

    def features(self, inputs: Tensor, change: Change | None = None, *, branch: int | None = None) -> Tensor:
        """Return the input of the head (N, D); with `branch` those of one branch of the body alone, from 0."""
        x = self.standardize(inputs)
        whole = self.body if branch is None else OneBranch(self.body, branch)
        body = whole if change is None else Changed(whole, change)
        if self.precision == "float16" and torch.is_grad_enabled():
            return scaled_call(body, x, self.gradient_scale, HALVES[self.precision])
        half = HALVES.get(self.precision)
        with torch.autocast(x.device.type, half or torch.bfloat16, enabled=half is not None):
            features: Tensor = body(x)
        # a head of the user's own may be in another dtype; in plain float32 this is no copy
        return features.to(x.dtype)

    def with_head(self, head: nn.Module) -> Network:
        """Return a network of the same standardisation and body, not copied, under a head of the same kind."""
        network = Network(self.standardize, self.body, head, self.precision)
        if "builder" in self.__dict__:  # for saving
            network.builder = self.builder
        return network.train(self.training)


def copy_body(trained: nn.Module, network: nn.Module, *, strict: bool = True) -> None:
    """Copy standardisation and body of a trained network into another one, whose head is unchanged.

    Args:
        trained, network: each a `Network`.
        strict: False where the other body has further layers, which stay as they are.
    """
    for part in ("standardize", "body"):
        network.get_submodule(part).load_state_dict(trained.get_submodule(part).state_dict(), strict=strict)
