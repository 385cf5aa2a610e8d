"""Scores of non-conformity: how little a class fits a row. Small is a good fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import torch
from torch import Tensor

from longtail.facts import checks
from longtail.facts.knobs import Choice
from longtail.posthoc.corrections import as_tensor, checked_scores

ROW_SUM_TOLERANCE = 1e-3


def lac(log_probs: Tensor) -> Tensor:
    """Return -log p_k (..., C): in the order of 1 - p_k, and it does not round the scores of rare classes to 1.

    Only the order of scores decides, so the sets are those of 1 - p_k.

    Reference: Sadinle, Lei and Wasserman 2019, "Least Ambiguous Set-Valued Classifiers With Bounded Error Levels".
    """
    return -log_probs


def aps(log_probs: Tensor) -> Tensor:
    """Return the probability of class k and of all more probable ones, minus 1 (..., C), without a random part.

    s_k = -(sum of p_j over the j after k in the order of falling p), equal probabilities in class order

    The least probable class has exactly 0 in every row; such ties raise coverage above the level. Summed from the
    smallest on, so that scores near 0 are not rounded as those near 1 would be.

    Reference: Romano, Sesia and Candes 2020, "Classification with Valid and Adaptive Coverage", with u = 0 in their
    randomised score minus u p_k.
    """
    probs, order = log_probs.exp().sort(dim=-1, descending=True, stable=True)
    after = probs[..., 1:].flip(-1).cumsum(-1).flip(-1)
    return torch.zeros_like(probs).scatter_(-1, order[..., :-1], -after)


SCORES: dict[str, Callable[[Tensor], Tensor]] = {"lac": lac, "aps": aps}
SCORE = Choice(tuple(SCORES))
Score = Annotated[str, SCORE]


def checked_log_probs(values: Any, num_classes: int, name: str = "log_probs") -> Tensor:
    """Return log-probabilities (N, C) in float64, normalised.

    Raises:
        ValueError: another shape, NaN, +inf or rows whose probabilities do not sum to 1.
    """
    wide = checked_scores(as_tensor(values), num_classes, name).detach().double()
    if wide.ndim != 2:
        raise ValueError(f"{name} must have shape (N, {num_classes}), got {tuple(wide.shape)}; one row per example")
    total = wide.logsumexp(1)
    bad = ~(total.abs() <= ROW_SUM_TOLERANCE)  # NaN is bad, too
    if bool(bad.any()):
        row = int(torch.nonzero(bad)[0, 0])
        raise ValueError(
            f"{name} must be logarithms of probabilities that sum to 1, got a sum of {float(total[row].exp()):g} in "
            f"row {row}; take log_softmax of logits, or the logarithm of probabilities"
        )
    return wide - total[:, None]


def checked_targets(values: Any, rows: int, num_classes: int, name: str = "targets") -> Tensor:
    """Return class indices (N,) int64, checked."""
    y = as_tensor(values)
    if y.shape != (rows,) or y.is_floating_point() or y.dtype == torch.bool:
        raise ValueError(
            f"{name} must be one index per row of log_probs, ({rows},), got {y.dtype} of shape {tuple(y.shape)}; "
            "use the rows that have a label"
        )
    y = y.long()
    outside = (y < 0) | (y >= num_classes)
    if bool(outside.any()):
        raise ValueError(f"{name} must be in [0, {num_classes}), got {int(y[outside][0])}; drop what has no label")
    return y


def checked_weight(values: Any, rows: int) -> Tensor:
    """Return sample weights (N,) float64, ones where None is given."""
    if values is None:
        return torch.ones(rows, dtype=torch.float64)
    weight = as_tensor(values).detach().double()
    if weight.shape != (rows,):
        raise ValueError(f"sample_weight must have shape ({rows},), got {tuple(weight.shape)}; one weight per row")
    checks.sample_weight(weight)
    return weight
