"""The class prior that probabilities refer to, and the one of the place where a model is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from longtail.posthoc.priors import checked_prior

TRAINING, UNIFORM = "training", "uniform"


def target(prior: Any, classes: Sequence[str], training: Tensor) -> tuple[Tensor, str]:
    """A deployment prior (C,) float64, and what to call it.

    Args:
        prior: None or "training" (the class shares of the training part), "uniform", {class name: share} for every
            class, or C shares in the order of the classes. Shares sum to 1.
        classes: the C class names.
        training: (C,) the class counts of the training part.

    Raises:
        ValueError, TypeError: another word, a class that is unknown or missing, shares that do not sum to 1.
    """
    if prior is None or (isinstance(prior, str) and prior == TRAINING):
        return training.double() / training.double().sum(), TRAINING
    if isinstance(prior, str):
        if prior != UNIFORM:
            raise ValueError(
                f"target_prior must be {TRAINING}, {UNIFORM}, or a share for every class, got {prior!r}; "
                f'write {UNIFORM}, or "{classes[0]}=0.9,..."'
            )
        return torch.full((len(classes),), 1 / len(classes), dtype=torch.float64), UNIFORM
    if isinstance(prior, Mapping):
        prior = _by_name(prior, classes)
    found = checked_prior(prior, "target_prior", positive=False).cpu()
    if len(found) != len(classes):
        raise ValueError(f"target_prior must have {len(classes)} shares, got {len(found)}; one for every class")
    shares = zip(classes, found.tolist(), strict=True)
    return found, ", ".join(f"{name} {share:g}" for name, share in shares) if len(classes) <= 5 else "as given"


def _by_name(prior: Mapping[str, Any], classes: Sequence[str]) -> Tensor:
    unknown = [name for name in prior if name not in classes]
    missing = [name for name in classes if name not in prior]
    if unknown or missing:
        odd = f"{unknown[0]!r} is no class" if unknown else f"{missing[0]!r} has no share"
        known = ", ".join(classes[:8]) + (", ..." if len(classes) > 8 else "")
        raise ValueError(f"target_prior must name every class once, but {odd}; the classes are {known}")
    try:
        return torch.tensor([float(prior[name]) for name in classes], dtype=torch.float64)
    except (TypeError, ValueError):
        raise ValueError(f"target_prior must have numbers as shares, got {dict(prior)!r}; such as 0.2") from None
