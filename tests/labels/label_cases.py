"""Random labels with wrong ones among them, and out-of-sample probabilities that know a little."""

import numpy as np


def random_case(seed: int, classes: int | None = None, rows: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N,) with every class, and probabilities (N, C)."""
    rng = np.random.default_rng(seed)
    size = classes or int(rng.integers(2, 12))
    number = rows or int(rng.integers(3 * size, 200))
    prior = 0.5 * rng.dirichlet(np.ones(size)) + 0.5 / size
    labels = np.concatenate([np.arange(size), rng.choice(size, number - size, p=prior)])
    true = np.where(rng.random(number) < 0.25, rng.choice(size, number), labels)
    logits = rng.normal(size=(number, size))
    logits[np.arange(number), true] += 2
    powers = np.exp(logits)
    return labels, powers / powers.sum(1, keepdims=True)
