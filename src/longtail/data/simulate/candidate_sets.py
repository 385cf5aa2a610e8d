"""Draw candidate sets around clean labels: the true class, and others by chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.data.simulate.superclasses import superclasses
from longtail.facts.messages import quoted

PLAIN, SUPERCLASS, PAIR = "", "superclass", "pair"
OUTSIDE = 8
"""A class of another superclass is a candidate with this fraction of the chance, as in RECORDS' CIFAR-100-LT-NU."""
SEED = 3
CHUNK = 1 << 22
"""Random numbers drawn at a time."""


def candidate_sets(targets: Tensor, classes: Sequence[str], ambiguity: str) -> Tensor:
    """Return (N, C) bool: the true class, and every other class by chance, independently.

    With ambiguity q every other class has probability q (Hong et al. 2023); with "pair:q" the next class has
    probability q (the first one after the last) and no other any; with "superclass:q" classes of the same superclass
    have q and all others q / 8. A set may have one class, or all of them.

    Args:
        targets: (N,) clean labels.
        classes: the C class names.
        ambiguity: see `ambiguity_of`.
    """
    kind, chance = ambiguity_of(ambiguity)
    size, groups = len(classes), superclasses(classes) if kind == SUPERCLASS else None
    generator, parts = np.random.default_rng(SEED), []
    for labels in torch.split(targets.cpu(), max(1, CHUNK // size)):
        drawn = torch.from_numpy(generator.random((len(labels), size)))
        if kind == PAIR:
            drawn[torch.arange(size)[None, :] != (labels[:, None] + 1) % size] = 1.0
        if groups is not None:
            drawn[groups[None, :] != groups[labels][:, None]] *= OUTSIDE
        sets = drawn < chance
        sets[torch.arange(len(labels)), labels] = True
        parts.append(sets)
    return torch.cat(parts)


def ambiguity_of(value: Any) -> tuple[str, float]:
    """Return kind and chance of an ambiguity: 0.3, "0.3", "superclass:0.3" or "pair:0.3".

    Raises:
        ValueError: another kind, or a chance outside of [0, 1).
    """
    kind, colon, number = str(value).rpartition(":")
    try:
        chance = math.nan if isinstance(value, bool) else float(number)
    except ValueError:
        chance = math.nan
    if kind not in (PLAIN, SUPERCLASS, PAIR) or bool(colon) != bool(kind) or not 0 <= chance < 1:
        raise ValueError(
            'ambiguity (--ambiguity) must be a chance in [0, 1), alone or as "superclass:0.3" or "pair:0.3", got '
            f"{quoted(value)}; try 0.3"
        )
    return kind, chance
