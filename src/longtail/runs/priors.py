"""The class prior that probabilities refer to, and that of the place where a model is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from longtail.facts.arrays import as_dict

TRAINING, UNIFORM, ESTIMATE = "training", "uniform", "estimate"
NAME = "target_prior (--target-prior)"
"""The argument's name in Python and on the command line, for errors."""
SUM_TOLERANCE = 1e-6


def target(prior: Any, classes: Sequence[str], training: Tensor) -> tuple[Tensor, str]:
    """Return a deployment prior (C,) float64, and its name in words.

    Args:
        prior: None or "training" (the class shares of the training part), "uniform", {class name: share} for every
            class (a pandas Series by its index, too), or C shares in the order of the classes. Shares sum to 1.
        classes: the C class names.
        training: (C,) the class counts of the training part.

    Raises:
        ValueError, TypeError: another name, a class that is unknown or missing, shares that do not sum to 1.
    """
    if prior is None or (isinstance(prior, str) and prior == TRAINING):
        return training.double() / training.double().sum(), TRAINING
    if isinstance(prior, str):
        if prior != UNIFORM:
            if prior == ESTIMATE:
                raise ValueError(
                    f"{NAME} {ESTIMATE} is of rows, got none; use predictions(data, target_prior={prior!r})"
                )
            raise ValueError(
                f"{NAME} must be {TRAINING}, {UNIFORM}, {ESTIMATE}, or a share for every class, got {prior!r}; "
                f'write {UNIFORM}, or "{classes[0]}=0.9,..."'
            )
        return torch.full((len(classes),), 1 / len(classes), dtype=torch.float64), UNIFORM
    named = as_dict(prior, NAME)
    values = _in_order(prior, classes) if named is None else _by_name(named, classes)
    _check(values, classes)
    shares = zip(classes, values.tolist(), strict=True)
    return values, ", ".join(f"{name} {share:g}" for name, share in shares) if len(classes) <= 5 else "as given"


def _by_name(prior: Mapping[str, Any], classes: Sequence[str]) -> Tensor:
    unknown = [name for name in prior if name not in classes]
    missing = [name for name in classes if name not in prior]
    if unknown or missing:
        odd = f"{unknown[0]!r} is no class" if unknown else f"{missing[0]!r} has no share"
        known = ", ".join(classes[:8]) + (", ..." if len(classes) > 8 else "")
        raise ValueError(f"{NAME} must name every class once, but {odd}; the classes are {known}")
    return torch.tensor([_number(prior[name], name) for name in classes], dtype=torch.float64)


def _in_order(prior: Any, classes: Sequence[str]) -> Tensor:
    values = prior.detach().cpu() if isinstance(prior, Tensor) else np.asarray(prior)
    if values.ndim != 1 or len(values) != len(classes):
        raise ValueError(
            f"{NAME} must have {len(classes)} shares, one for every class, got shape {tuple(values.shape)}; "
            "longtail.priors(counts) makes them of counts"
        )
    shares = zip(values.tolist(), classes, strict=True)
    return torch.tensor([_number(share, name) for share, name in shares], dtype=torch.float64)


def _number(share: Any, name: str) -> float:
    try:
        return float(share)
    except (TypeError, ValueError):
        raise ValueError(f"{NAME} must have numbers as shares, got {share!r} for {name!r}; such as 0.2") from None


def _check(prior: Tensor, classes: Sequence[str]) -> None:
    for share, name in zip(prior.tolist(), classes, strict=True):
        if not 0 <= share < float("inf"):
            raise ValueError(
                f"{NAME} must be >= 0 for every class, got {share:g} for {name!r}; "
                "give 0 to a class that does not occur"
            )
    total = float(prior.sum())
    if not abs(total - 1) <= SUM_TOLERANCE:
        way = f"divide each by {total:g}" if total > 0 else "give some class a share"
        raise ValueError(f"{NAME} must have shares that sum to 1, got {total:g}; {way}")


def rule_in_words(source: Tensor, class_counts: Tensor, calibration: Any = None) -> str:
    """Return how the largest score decides, by the class prior (C,) that the scores refer to.

    A calibration other than a temperature may change the order of classes, and the scores are those before.
    """
    after = "" if calibration is None or calibration.name == "temperature" else ", before the calibration"
    return f"{_highest(source, class_counts)}{after}"


def _highest(source: Tensor, class_counts: Tensor) -> str:
    shares = class_counts.double() / class_counts.double().sum()
    if torch.allclose(source, shares, rtol=1e-9):
        return "highest probability under the training prior"
    if torch.allclose(source, torch.full_like(source, 1 / len(source)), rtol=1e-9):
        return "highest probability with every class equally likely"
    return "highest probability under the prior that the method trains for"


def shift_of(source: Tensor, new: Tensor) -> Tensor:
    """Return what is added to log-probabilities (C,) under one prior to have them under another, up to a constant.

    log new_j - log source_j, and 0 where the two are equal, a class without examples included.
    """
    return torch.where(source == new, 0.0, new.log() - source.log())


def under(logs: Tensor, source: Tensor, new: Tensor) -> Tensor:
    """Return log-probabilities (N, C) under one prior as those under another, normalised."""
    return (logs + shift_of(source, new)).log_softmax(1)


def log_probabilities(scores: Tensor, link: str) -> Tensor:
    """Return log-probabilities (N, C) float64; those of link "sigmoid" are normalised over classes."""
    scores = scores.double()
    return F.log_softmax(F.logsigmoid(scores) if link == "sigmoid" else scores, dim=1)
