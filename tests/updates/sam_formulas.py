"""A step of sharpness-aware minimisation on softmax regression, in plain loops and float64."""

import math

Matrix = list[list[float]]


def gradient(weight: Matrix, inputs: Matrix, targets: list[int]) -> Matrix:
    """Of the mean of -log softmax(W x)_y."""
    total = [[0.0] * len(row) for row in weight]
    for x, y in zip(inputs, targets, strict=True):
        z = [sum(w * v for w, v in zip(row, x, strict=True)) for row in weight]
        normalizer = sum(math.exp(v) for v in z)
        for j in range(len(weight)):
            error = math.exp(z[j]) / normalizer - (j == y)
            for d, v in enumerate(x):
                total[j][d] += error * v / len(inputs)
    return total


def perturbation(weight: Matrix, g: Matrix, rho: float, adaptive: bool) -> Matrix:
    """rho g / (||g|| + 1e-12), or rho w^2 g / (|| |w| g || + 1e-12)."""
    scale = [[abs(w) if adaptive else 1.0 for w in row] for row in weight]
    pairs = [(s, v) for a, b in zip(scale, g, strict=True) for s, v in zip(a, b, strict=True)]
    norm = math.sqrt(sum((s * v) ** 2 for s, v in pairs)) + 1e-12
    return [[rho * s * s * v / norm for s, v in zip(a, b, strict=True)] for a, b in zip(scale, g, strict=True)]


def step(weight: Matrix, inputs: Matrix, targets: list[int], lr: float, rho: float, adaptive: bool) -> Matrix:
    """w - lr gradient(w + e)."""
    e = perturbation(weight, gradient(weight, inputs, targets), rho, adaptive)
    worst = [[w + v for w, v in zip(a, b, strict=True)] for a, b in zip(weight, e, strict=True)]
    g = gradient(worst, inputs, targets)
    return [[w - lr * v for w, v in zip(a, b, strict=True)] for a, b in zip(weight, g, strict=True)]
