"""The losses as their papers write them: one example at a time, float64, loops, and nothing but `math`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

Row = Sequence[float]
OneLoss = Callable[[Row, int], float]


def log_sum_exp(values: Row) -> float:
    top = max(values)
    return top if top == -math.inf else top + math.log(math.fsum(math.exp(v - top) for v in values))


def cross_entropy(z: Row, y: int) -> float:
    return log_sum_exp(z) - z[y]


def focal(z: Row, y: int, gamma: float) -> float:
    c = cross_entropy(z, y)
    return (1 - math.exp(-c)) ** gamma * c


def logit_adjusted(z: Row, y: int, n: Row, tau: float) -> float:
    return cross_entropy([z_j + tau * math.log(n_j / sum(n)) for z_j, n_j in zip(z, n, strict=True)], y)


def margins(n: Row, max_margin: float, exponent: float = 0.25, test: Row | None = None) -> list[float]:
    roots = [(m_j / n_j) ** exponent for n_j, m_j in zip(n, test or [1.0] * len(n), strict=True)]
    return [max_margin * root / max(roots) for root in roots]


def ldam(z: Row, y: int, n: Row, max_margin: float, scale: float, **how: Any) -> float:
    delta = margins(n, max_margin, **how)
    true = scale * (z[y] - delta[y])
    others = [scale * z_j for j, z_j in enumerate(z) if j != y]
    return log_sum_exp([true, *others]) - true


def uniform_margin(z: Row, y: int, margin: float, scale: float) -> float:
    true = scale * (z[y] - margin)
    return log_sum_exp([true, *(scale * z_j for j, z_j in enumerate(z) if j != y)]) - true


def runner_up(z: Row, y: int) -> float:
    return max(z_j for j, z_j in enumerate(z) if j != y)


def hinge(z: Row, y: int, n: Row, max_margin: float, scale: float, **how: Any) -> float:
    return scale * max(runner_up(z, y) - z[y] + margins(n, max_margin, **how)[y], 0)


def binary_hinge(z: Row, y: int) -> float:
    return math.fsum(max(0.0, 1 - (1 if j == y else -1) * z_j) for j, z_j in enumerate(z))


def binary_squares(z: Row, y: int) -> float:
    return math.fsum((1 - (1 if j == y else -1) * z_j) ** 2 for j, z_j in enumerate(z))


def dot_regression(z: Row, y: int, scale: float) -> float:
    """The paper's form, <m_y, h> = s z_y."""
    return (scale * z[y] - scale) ** 2 / (2 * scale)


def binary_vector_scaling(z: Row, y: int, n: Row, gamma: float, tau: float) -> float:
    k = 1 - y
    shift = tau * (math.log(n[k] / sum(n)) - math.log(n[y] / sum(n)))
    return math.log1p(math.exp(shift - (n[y] / max(n)) ** gamma * (z[y] - z[k])))


def psi(theta: float, m: int) -> float:
    k = min(int(m * theta / math.pi), m - 1)
    return (-1) ** k * math.cos(m * theta) - 2 * k


def l_softmax(h: Row, w: Sequence[Row], y: int, m: int, annealing: float) -> float:
    z = [math.fsum(a * b for a, b in zip(w_j, h, strict=True)) for w_j in w]
    length = math.hypot(*h) * math.hypot(*w[y])
    own = length * psi(math.acos(z[y] / length), m)
    return cross_entropy([(annealing * z_j + own) / (1 + annealing) if j == y else z_j for j, z_j in enumerate(z)], y)


def maximum_margin(
    z: Row, y: int, delta_minus: float, beta: float, scale: float, ldam_margins: Row | None = None
) -> float:
    minus = delta_minus - (ldam_margins[y] if ldam_margins else 0)
    plus = beta * minus
    m = z[y] - runner_up(z, y)
    margin = math.exp(-max(m, 0) - plus) if m > 0 else math.exp(-max(-m, 0) - minus)
    return uniform_margin(z, y, margin, scale)


def vector_scaling(z: Row, y: int, n: Row, gamma: float, tau: float) -> float:
    temperatures = [(max(n) / n_j) ** gamma for n_j in n]
    offsets = [tau * math.log(n_j / sum(n)) for n_j in n]
    return cross_entropy([z_j / t + o for z_j, t, o in zip(z, temperatures, offsets, strict=True)], y)


def pairwise(z: Row, y: int, alpha: Row, delta: Sequence[Row]) -> float:
    """delta[y][k] is Delta_yk, in logs."""
    terms = [delta[y][k] + z_k - z[y] for k, z_k in enumerate(z) if k != y]
    return alpha[y] * log_sum_exp([0.0, *terms])


def log_ratios(delta: Row, margin: Row | None = None) -> list[list[float]]:
    """Delta_yk = log(delta_k / delta_y) + margin_y."""
    m = margin or [0.0] * len(delta)
    return [[math.log(d_k / d_y) + m_y for d_k in delta] for d_y, m_y in zip(delta, m, strict=True)]


def sigmoid(t: float) -> float:
    return 1 / (1 + math.exp(-t))


def sigmoid_cross_entropy(z: Row, y: int) -> float:
    return math.fsum(-math.log(sigmoid(z_j if j == y else -z_j)) for j, z_j in enumerate(z))


def sigmoid_focal(z: Row, y: int, gamma: float) -> float:
    terms = []
    for j, z_j in enumerate(z):
        p_t = sigmoid(z_j if j == y else -z_j)
        terms.append(-((1 - p_t) ** gamma) * math.log(p_t))
    return math.fsum(terms)


def smoothing_strengths(n: Row, head: float, tail: float, shape: str, power: float) -> list[float]:
    u = [(n_j - min(n)) / (max(n) - min(n)) for n_j in n]
    rise = {
        "concave": [tail + (head - tail) * math.sin(math.pi * v / 2) for v in u],
        "linear": [tail + (head - tail) * v for v in u],
        "convex": [head + (head - tail) * math.sin(3 * math.pi / 2 + math.pi * v / 2) for v in u],
        "exp": [tail + (head - tail) * v**power for v in u],
    }
    return rise[shape]


def label_aware(z: Row, y: int, strengths: Row) -> float:
    e = strengths[y]
    return (1 - e) * cross_entropy(z, y) + e * math.fsum(cross_entropy(z, j) for j in range(len(z))) / len(z)


def equalised(z: Row, y: int, left_out: Sequence[bool]) -> float:
    return log_sum_exp([z_k for k, z_k in enumerate(z) if k == y or not left_out[k]]) - z[y]


def influence_balanced(z: Row, y: int, h: Row, alpha: float) -> float:
    p = [math.exp(-cross_entropy(z, k)) for k in range(len(z))]
    g = math.fsum(abs(p_k - (k == y)) for k, p_k in enumerate(p))
    return cross_entropy(z, y) * alpha / (g * math.fsum(map(abs, h)) + 0.001)


def generalised(z: Row, y: int, q: float, k: float | None = None) -> float:
    """The paper's form; q > 0."""
    p = math.exp(-cross_entropy(z, y))
    if k is None:
        return (1 - p**q) / q
    return (1 - p**q) / q - (1 - k**q) / q if p > k else 0.0


def symmetric(z: Row, y: int, alpha: float, beta: float, label_floor: float = 1e-4, floor: float = 1e-7) -> float:
    """The released code's form: both logarithms, of clamped values."""
    p = [min(max(math.exp(-cross_entropy(z, k)), floor), 1.0) for k in range(len(z))]
    hot = [min(max(float(k == y), label_floor), 1.0) for k in range(len(z))]
    reverse = -math.fsum(p_k * math.log(q_k) for p_k, q_k in zip(p, hot, strict=True))
    return alpha * cross_entropy(z, y) + beta * reverse


def bootstrapped(z: Row, y: int, b: float, hard: bool) -> float:
    log_p = [-cross_entropy(z, k) for k in range(len(z))]
    best = max(range(len(z)), key=z.__getitem__)
    believed = [float(k == best) if hard else math.exp(log_p[k]) for k in range(len(z))]
    return -math.fsum((b * (k == y) + (1 - b) * believed[k]) * log_p[k] for k in range(len(z)))


def forward_corrected(z: Row, y: int, matrix: Sequence[Row]) -> float:
    return -math.log(math.fsum(math.exp(-cross_entropy(z, i)) * matrix[i][y] for i in range(len(z))))


def backward_corrected(z: Row, y: int, matrix: Sequence[Row]) -> float:
    """The row y of the inverse by Gauss and Jordan."""
    size = len(matrix)
    rows = [[float(v) for v in row] + [float(i == j) for j in range(size)] for i, row in enumerate(matrix)]
    for i in range(size):
        pivot = max(range(i, size), key=lambda r, i=i: abs(rows[r][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [v / rows[i][i] for v in rows[i]]
        for r in range(size):
            if r != i:
                rows[r] = [a - rows[r][i] * b for a, b in zip(rows[r], rows[i], strict=True)]
    return math.fsum(rows[y][size + j] * cross_entropy(z, j) for j in range(size))


def scaled(weights: Row) -> list[float]:
    return [len(weights) * w / math.fsum(weights) for w in weights]


def effective_weights(n: Row, beta: float) -> list[float]:
    return scaled([(1 - beta) / (1 - beta**n_j) for n_j in n])


def power_weights(n: Row, q: float) -> list[float]:
    return scaled([n_j**-q for n_j in n])


def smoothed(y: int, num_classes: int, smoothing: float) -> list[float]:
    return [(1 - smoothing) * (j == y) + smoothing / num_classes for j in range(num_classes)]


def one_position(loss: OneLoss, z: Row, q: Row, w: Row) -> tuple[float, float]:
    """The weighted loss sum_k q_k w_k l(z, k) and its weight sum_k q_k w_k."""
    value = math.fsum(q_k * w[k] * loss(z, k) for k, q_k in enumerate(q) if q_k != 0)
    return value, math.fsum(q_k * w_k for q_k, w_k in zip(q, w, strict=True))


def batch_mean(loss: OneLoss, rows: Sequence[Row], soft: Sequence[Row | None], w: Row, s: Row, normalize: str) -> float:
    """The mean over a batch; a target of None is ignored, and a row of weight s counts as s rows."""
    total, by_weight, positions = 0.0, 0.0, 0.0
    for z, q, s_i in zip(rows, soft, s, strict=True):
        if q is None:
            continue
        value, omega = one_position(loss, z, q, w)
        total, by_weight, positions = total + s_i * value, by_weight + s_i * omega, positions + s_i
    return total / (by_weight if normalize == "weights" else positions)
