"""Meta-learnt weights on softmax regression, each formula in NumPy and float64, with derivatives by hand."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Rows = tuple[Array, npt.NDArray[np.int64]]
"""Inputs (B, D) and classes (B,)."""


def losses(weight: Array, rows: Rows) -> Array:
    """-log softmax(W x)_y, (B,)."""
    x, y = rows
    z = x @ weight.T
    return np.asarray(np.log(np.exp(z).sum(1)) - z[np.arange(len(y)), y])


def gradients(weight: Array, rows: Rows) -> Array:
    """Of each loss, (B, C, D)."""
    x, y = rows
    p = np.exp(x @ weight.T)
    p /= p.sum(1, keepdims=True)
    p[np.arange(len(y)), y] -= 1
    return np.asarray(p[:, :, None] * x[:, None, :])


def slope(weight: Array, rows: Rows, meta: Rows, lr: float, by: Array) -> Array:
    """d M(W - lr sum_i by_i grad l_i) / d by_i, M the mean loss on the meta rows."""
    g = gradients(weight, rows)
    ahead = weight - lr * np.tensordot(by, g, 1)
    m = gradients(ahead, meta).mean(0)
    return np.asarray(-lr * (g * m).sum((1, 2)))


def learning_to_reweight(weight: Array, rows: Rows, meta: Rows, lr: float) -> Array:
    v = np.maximum(-slope(weight, rows, meta, lr, np.zeros(len(rows[1]))), 0)
    return np.asarray(v / v.mean())


def residual(weight: Array, rows: Rows, meta: Rows, lr: float, class_weight: Array, step: float) -> Array:
    c = class_weight[rows[1]]
    return np.asarray(c - step * slope(weight, rows, meta, lr, c))


class Net(NamedTuple):
    """V(l) = sigmoid(W2 relu(W1 l + b1) + b2)."""

    w1: Array
    b1: Array
    w2: Array
    b2: Array

    def __call__(self, losses: Array) -> Array:
        return self.parts(losses)[1]

    def parts(self, losses: Array) -> tuple[Array, Array]:
        hidden = np.maximum(losses[:, None] * self.w1 + self.b1, 0)
        return hidden, 1 / (1 + np.exp(-(hidden @ self.w2 + self.b2)))

    def gradient(self, losses: Array, upstream: Array) -> Net:
        """Of sum_i upstream_i V(l_i)."""
        hidden, v = self.parts(losses)
        out = upstream * v * (1 - v)
        inner = out[:, None] * self.w2 * (hidden > 0)
        return Net((inner * losses[:, None]).sum(0), inner.sum(0), hidden.T @ out, np.asarray(out.sum()))

    def adam(self, gradient: Net, lr: float, decay: float) -> Net:
        """The first step of Adam: both moments corrected are g and g^2."""
        moved = []
        for p, g in zip(self, gradient, strict=True):
            full = g + decay * p
            moved.append(p - lr * full / (np.sqrt(full**2) + 1e-8))
        return Net(*moved)


def meta_weight_net(
    weight: Array, rows: Rows, meta: Rows, lr: float, net: Net, net_lr: float, decay: float, normalized: bool
) -> tuple[Net, Array]:
    """The net after its first step, and the weights that it then gives."""
    each, size = losses(weight, rows), len(rows[1])
    v = net(each)
    total = v.sum()
    w = v / v.mean() if normalized else v
    upstream = slope(weight, rows, meta, lr, w / size) / size
    if normalized:  # w_i = B v_i / sum v: d/dv_j of sum_i u_i w_i
        upstream = size * (upstream / total - (upstream * v).sum() / total**2)
    learnt = net.adam(net.gradient(each, upstream), net_lr, decay)
    v = learnt(each)
    return learnt, np.asarray(v / v.mean() if normalized else v)
