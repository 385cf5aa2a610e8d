"""Trainings of encoders written out in float64: networks, losses, steps, averages, memories, one row after another.

Of longtail it reads the initial state, the batches and the learning rates; nothing of it is computed by longtail.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

EARLY, LATE = 0.9, 0.999


def projected(state: Any, network: nn.Module, prefix: str, x: Tensor, record: bool = True) -> Tensor:
    """Standardise, body, projector; batch norms by the formula, in training mode."""
    x = (x - state[f"{prefix}.standardize.mean"]) / state[f"{prefix}.standardize.std"]
    for part in ("body", "head.layers"):
        x = passed(state, network.get_submodule(part), f"{prefix}.{part}", x, record)
    return x


def passed(state: Any, layers: nn.Module, prefix: str, x: Tensor, record: bool = True) -> Tensor:
    for number, layer in layers.named_children():
        name = f"{prefix}.{number}"
        if isinstance(layer, nn.Linear):
            x = x @ state[f"{name}.weight"].T + (state[f"{name}.bias"] if layer.bias is not None else 0)
        elif isinstance(layer, nn.ReLU):
            x = torch.where(x > 0, x, 0.0)
        elif isinstance(layer, nn.BatchNorm1d):
            mean, var = x.mean(0), ((x - x.mean(0)) ** 2).mean(0)
            x = (x - mean) / (var + 1e-5).sqrt() * state[f"{name}.weight"] + state[f"{name}.bias"]
            if record:
                unbiased = var * len(x) / (len(x) - 1)
                for statistic, new in (("running_mean", mean), ("running_var", unbiased)):
                    state[f"{name}.{statistic}"] = 0.9 * state[f"{name}.{statistic}"] + 0.1 * new.detach()
        else:
            assert isinstance(layer, nn.Flatten)
    return x


class Renamed(dict[str, Any]):
    """A state in which some names are those of others, or have values of their own."""

    def __init__(self, state: Any, names: dict[str, str], values: dict[str, Tensor]) -> None:
        super().__init__(values)
        self.state, self.names = state, names

    def __getitem__(self, name: str) -> Tensor:
        return super().__getitem__(name) if name in self else self.state[self.names.get(name, name)]  # type: ignore[no-any-return]

    def __setitem__(self, name: str, value: Tensor) -> None:
        self.state[self.names.get(name, name)] = value


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum() / ((a * a).sum().sqrt() * (b * b).sum().sqrt())


def log_sum_exp(values: list[Tensor]) -> Tensor:
    largest = max(float(value.detach()) for value in values)
    return largest + torch.stack([(value - largest).exp() for value in values]).sum().log()


def nt_xent(u: Tensor, v: Tensor, t: float) -> list[Tensor]:
    w, n = [*u, *v], len(u)
    anchors = []
    for a in range(2 * n):
        similar = [cosine(w[a], w[k]) / t for k in range(2 * n) if k != a]
        anchors.append(log_sum_exp(similar) - cosine(w[a], w[(a + n) % (2 * n)]) / t)
    return [(anchors[i] + anchors[i + n]) / 2 for i in range(n)]


def against_queue(q: Tensor, k: Tensor, rows: list[int], queue: list[Any], t: float) -> list[Tensor]:
    losses = []
    for i, row in enumerate(rows):
        negatives = [cosine(q[i], key) / t for key, owner in queue if owner != row]
        losses.append(log_sum_exp([cosine(q[i], k[i]) / t, *negatives]) - cosine(q[i], k[i]) / t)
    return losses


def distances(p: Tensor, k: Tensor) -> list[Tensor]:
    return [((a / a.norm() - b / b.norm()) ** 2).sum() for a, b in zip(p, k, strict=True)]


def sinkhorn(q: Tensor, prior: Tensor) -> Tensor:
    kernel, c = (q / 0.05).exp(), torch.full((len(q),), 1 / len(q), dtype=q.dtype)
    for _ in range(300):
        r = prior / (kernel.T @ c)
        c = (1 / len(q)) / (kernel @ r)
    return len(q) * c[:, None] * kernel * r


def unit_logits(z: Tensor, frame: Tensor) -> Tensor:
    q = z @ frame.T
    return q / (q * q).sum(1, keepdim=True).sqrt()


def swapped(z1: Tensor, z2: Tensor, frame: Tensor, prior: Tensor) -> list[Tensor]:
    x, y = unit_logits(z1, frame), unit_logits(z2, frame)
    a, b = sinkhorn(x.detach(), prior), sinkhorn(y.detach(), prior)
    log_x, log_y = (z / 0.1 - (z / 0.1).exp().sum(1, keepdim=True).log() for z in (x, y))
    return [-(a[i] * log_y[i]).sum() - (b[i] * log_x[i]).sum() for i in range(len(x))]


def scores(m: list[float]) -> list[float]:
    mean = sum(m) / len(m)
    largest = max(abs(value - mean) for value in m)
    return [((value - mean) / largest + 1) / 2 for value in m]


def density_weights(features: Tensor, h: float, alpha: float) -> list[float]:
    f = [row / max(float(row.norm()), 1e-12) for row in features]  # a row of zeros stays
    near = [[math.exp(-float(((a - b) ** 2).sum()) / (2 * h * h)) for b in f] for a in f]
    weights = [(sum(row[:i] + row[i + 1 :]) / (len(f) - 1)) ** -alpha for i, row in enumerate(near)]
    return [weight / (sum(weights) / len(weights)) for weight in weights]


def kept(weights: list[Tensor], fraction: float) -> list[Tensor]:
    sizes = sorted(abs(float(value)) for weight in weights for value in weight.detach().flatten())
    threshold = sizes[min(math.ceil(fraction * len(sizes)), len(sizes) - 1)]
    return [weight.detach().abs() >= threshold for weight in weights]


class Descent:
    """SGD with momentum and weight decay over named tensors, and the ascent of a sharpness-aware step."""

    def __init__(self, state: dict[str, Any], names: list[str], momentum: float, decay: float) -> None:
        self.state, self.names, self.momentum, self.decay = state, names, momentum, decay
        self.velocity: dict[str, Tensor] = {}
        for name in names:
            state[name] = state[name].clone().requires_grad_()

    def gradient(self, loss: Tensor) -> dict[str, Tensor]:
        found = torch.autograd.grad(loss, [self.state[name] for name in self.names], allow_unused=True)
        return {name: g for name, g in zip(self.names, found, strict=True) if g is not None}

    def climbed(self, gradient: dict[str, Tensor], rho: float) -> dict[str, Tensor]:
        """Move to w + e, and return w."""
        length = math.sqrt(sum(float((g * g).sum()) for g in gradient.values()))
        before = {name: self.state[name] for name in gradient}
        for name, g in gradient.items():
            self.state[name] = (before[name].detach() + rho * g / (length + 1e-12)).requires_grad_()
        return before

    def step(self, gradient: dict[str, Tensor], lr: float) -> None:
        for name, g in gradient.items():
            w = self.state[name].detach()
            v = g + self.decay * w
            self.velocity[name] = v = v if name not in self.velocity else self.momentum * self.velocity[name] + v
            self.state[name] = (w - lr * v).requires_grad_()
