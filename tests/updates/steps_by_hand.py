"""Steps of a network with one hidden layer, in plain loops and float64: parameters are one flat list."""

import math
from collections.abc import Callable, Sequence

Vector = list[float]
Rows = Sequence[Sequence[float]]
Gradient = Callable[[Vector], Vector]
D, H, C = 4, 5, 3
WEIGHTS = [*range(H * D), *range(H * D + H, H * D + H + C * H)]
"""Positions of the weights; the others are biases."""


def forward(w: Vector, x: Sequence[float]) -> tuple[Vector, Vector]:
    """Hidden values tanh(W x + b) and probabilities softmax(V h + c)."""
    b, v, c = H * D, H * D + H, H * D + H + C * H
    h = [math.tanh(sum(w[j * D + d] * x[d] for d in range(D)) + w[b + j]) for j in range(H)]
    z = [sum(w[v + k * H + j] * h[j] for j in range(H)) + w[c + k] for k in range(C)]
    total = sum(math.exp(value) for value in z)
    return h, [math.exp(value) / total for value in z]


def losses(w: Vector, xs: Rows, ys: Sequence[int]) -> Vector:
    return [-math.log(forward(w, x)[1][y]) for x, y in zip(xs, ys, strict=True)]


def gradient(w: Vector, xs: Rows, ys: Sequence[int], shares: Vector) -> Vector:
    """Of sum_i shares_i l_i."""
    b, v, c = H * D, H * D + H, H * D + H + C * H
    g = [0.0] * len(w)
    for x, y, share in zip(xs, ys, shares, strict=True):
        h, p = forward(w, x)
        dz = [share * (p[k] - (k == y)) for k in range(C)]
        for k in range(C):
            g[c + k] += dz[k]
            for j in range(H):
                g[v + k * H + j] += dz[k] * h[j]
        for j in range(H):
            da = sum(dz[k] * w[v + k * H + j] for k in range(C)) * (1 - h[j] ** 2)
            g[b + j] += da
            for d in range(D):
                g[j * D + d] += da * x[d]
    return g


def climbed(w: Vector, g: Vector, rho: float, scale: Vector | None = None) -> Vector:
    """w + rho T^2 g / (||T g|| + 1e-12)."""
    t = scale or [1.0] * len(w)
    norm = math.sqrt(sum((a * b) ** 2 for a, b in zip(t, g, strict=True))) + 1e-12
    return [a + rho * s * s * b / norm for a, s, b in zip(w, t, g, strict=True)]


def descended(w: Vector, g: Vector, lr: float) -> Vector:
    return [a - lr * b for a, b in zip(w, g, strict=True)]


def softmax(values: Vector) -> Vector:
    total = sum(math.exp(v) for v in values)
    return [math.exp(v) / total for v in values]


class Recover:
    """u and v themselves, as the paper has them; `clamp` as the released code has it."""

    def __init__(self, clamp: bool = False) -> None:
        self.clamp = clamp
        self.knobs: tuple[float, ...] | None = None
        self.u, self.v, self.old = 0.0, [0.0], [0.0]
        self.restarts = 0

    def value(self, w: Vector, xs: Rows, ys: Sequence[int], lam: float) -> tuple[float, Vector]:
        """g and its gradient."""
        e = [math.exp(v / lam) for v in losses(w, xs, ys)]
        factor = min(max(e), lam) / max(e) if self.clamp else 1.0
        return sum(e) / len(e), gradient(w, xs, ys, [factor * v / lam / len(e) for v in e])

    def step(self, w: Vector, xs: Rows, ys: Sequence[int], lr: float, lam: float, a: float, restart: float) -> Vector:
        g, dg = self.value(w, xs, ys, lam)
        same, self.knobs = self.knobs == (lam, a, restart), (lam, a, restart)
        before, before_gradient = self.value(self.old, xs, ys, lam) if same else (0.0, dg)
        if same and g + self.u - before > 0:
            self.u = g + (1 - a) * (self.u - before)
            self.v = [n + (1 - a) * (v - o) for n, v, o in zip(dg, self.v, before_gradient, strict=True)]
        else:
            self.u, self.v = g, dg
            self.restarts += 1
        self.old = w
        return descended(w, [lam * v / self.u for v in self.v], lr)
