"""The loss of experts of one batch, in plain loops and float64."""

import math

Row = list[float]


def log_softmax(z: Row) -> Row:
    top = max(z)
    normalizer = top + math.log(sum(math.exp(v - top) for v in z))
    return [v - normalizer for v in z]


def tail_temperature(counts: list[int], share: float) -> Row:
    """(share C pi_j + 1 - share) / max."""
    raw = [share * len(counts) * n / sum(counts) + 1 - share for n in counts]
    return [t / max(raw) for t in raw]


def diversity(experts: list[Row], temperature: Row) -> float:
    """sum_e mean(T)^2 KL(softmax(m / T) || softmax(z_e / T)) of one example's logits (E, C)."""
    mean = [sum(column) / len(experts) for column in zip(*experts, strict=True)]
    middle = log_softmax([m / t for m, t in zip(mean, temperature, strict=True)])
    total = 0.0
    for z in experts:
        own = log_softmax([v / t for v, t in zip(z, temperature, strict=True)])
        total += sum(math.exp(p) * (p - q) for p, q in zip(middle, own, strict=True))
    return total * (sum(temperature) / len(temperature)) ** 2


def effective_weights(counts: list[int], beta: float = 0.9999) -> Row:
    raw = [(1 - beta) / (1 - beta**n) for n in counts]
    return [len(counts) * w / sum(raw) for w in raw]


def ldam(z: Row, y: int, counts: list[int], max_margin: float, scale: float) -> float:
    margins = [n**-0.25 for n in counts]
    margin = max_margin * margins[y] / max(margins)
    return -log_softmax([scale * (v - margin * (j == y)) for j, v in enumerate(z)])[y]


def ride(
    batch: list[list[Row]],
    targets: list[int],
    counts: list[int],
    *,
    deferred: bool,
    diversity_factor: float = 0.45,
    share: float = 0.05,
    max_margin: float = 0.5,
    scale: float = 30.0,
    rows: Row | None = None,
) -> float:
    """The published loss of cosines (B, E, C): each expert's weighted mean, summed, less the batch mean of the KL.

    `rows`: as how many rows each example counts.
    """
    rows = [1.0] * len(batch) if rows is None else rows
    weights = effective_weights(counts) if deferred else [1.0] * len(counts)
    temperature = tail_temperature(counts, share) if deferred else [1.0] * len(counts)
    omega = [k * weights[y] for k, y in zip(rows, targets, strict=True)]
    total = 0.0
    for e in range(len(batch[0])):
        losses = [ldam(z[e], y, counts, max_margin, scale) for z, y in zip(batch, targets, strict=True)]
        total += sum(w * v for w, v in zip(omega, losses, strict=True)) / sum(omega)
    apart = [diversity([[scale * v for v in z] for z in example], temperature) for example in batch]
    return total - diversity_factor * sum(k * d for k, d in zip(rows, apart, strict=True)) / sum(rows)
