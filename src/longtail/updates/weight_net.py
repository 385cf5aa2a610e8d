"""The net of Meta-Weight-Net: from the loss of an example to its weight."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from longtail.facts.knobs import Range

WIDTH, RATE = Range(1, integer=True), Range(0, open_high=True)
BETAS, EPS = (0.9, 0.999), 1e-8
POINTS = 33
"""Of the curve that a record has."""


@final
class WeightNet(nn.Module):
    """V(l) = sigmoid(W2 relu(W1 l + b1) + b2), between 0 and 1, with its own Adam.

    Adam's moments and its number of steps are buffers: the state is in `state_dict`, and a step neither waits for the
    device nor depends on the host, so that it can be captured. Weight decay is in the gradient, as in
    `torch.optim.Adam`. A step whose gradient is not finite is left out.

    Args:
        hidden: width.
        lr, weight_decay: of Adam.
    """

    steps: Tensor
    largest: Tensor

    def __init__(self, hidden: int, lr: float, weight_decay: float) -> None:
        super().__init__()
        WIDTH.check("hidden", hidden)
        RATE.check("lr", lr)
        RATE.check("weight_decay", weight_decay)
        self.layers = nn.Sequential(nn.Linear(1, hidden), nn.ReLU(), nn.Linear(hidden, 1), nn.Sigmoid())
        self.lr, self.weight_decay = lr, weight_decay
        for i, parameter in enumerate(self.layers.parameters()):
            self.register_buffer(f"first_{i}", torch.zeros_like(parameter))
            self.register_buffer(f"second_{i}", torch.zeros_like(parameter))
        self.register_buffer("steps", torch.zeros(()))
        self.register_buffer("largest", torch.zeros(()))  # loss of the epoch

    def forward(self, losses: Tensor) -> Tensor:
        """Return V (B,) in the dtype of the net, under autocast too."""
        dtype = self.largest.dtype
        with torch.autocast(losses.device.type, enabled=False):
            return self.layers(losses.detach().to(dtype)[:, None])[:, 0]  # type: ignore[no-any-return]

    @torch.no_grad()
    def learn(self, weights: Tensor, gradient: Tensor) -> None:
        """Make one step of Adam.

        Args:
            weights: (B,), computed by this net, with their graph.
            gradient: of the objective with respect to them, (B,).
        """
        parameters = list(self.layers.parameters())
        gradients = torch.autograd.grad(weights, parameters, gradient.to(weights.dtype))
        finite = torch.stack([g.isfinite().all() for g in gradients]).all()
        self.steps += finite
        corrections = [1 - beta ** self.steps.clamp(min=1) for beta in BETAS]
        for i, (p, g) in enumerate(zip(parameters, gradients, strict=True)):
            g = g + self.weight_decay * p
            moments = []
            for name, beta, value in (("first", BETAS[0], g), ("second", BETAS[1], g * g)):
                moment = self.get_buffer(f"{name}_{i}")
                moment.copy_(torch.where(finite, beta * moment + (1 - beta) * value, moment))
                moments.append(moment)
            m, v = (moment / c for moment, c in zip(moments, corrections, strict=True))
            p.copy_(torch.where(finite, p - self.lr * m / (v.sqrt() + EPS), p))

    @torch.no_grad()
    def note(self, losses: Tensor) -> None:
        """Remember the largest finite loss, for `curve`."""
        finite = torch.where(losses.isfinite(), losses.detach(), 0.0)
        self.largest.copy_(torch.maximum(self.largest, finite.max().to(self.largest.dtype)))

    @torch.no_grad()
    def curve(self) -> dict[str, list[float]]:
        """Return V at losses from 0 to the largest one noted since the last call."""
        places = torch.linspace(0, 1, POINTS, device=self.largest.device, dtype=self.largest.dtype)
        losses = places**2 * self.largest  # most losses are small
        weights = self(losses)
        self.largest.zero_()
        return {"losses": losses.tolist(), "weights": weights.tolist()}
