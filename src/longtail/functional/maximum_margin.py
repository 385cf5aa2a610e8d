"""Margins per example, large near the decision boundary. Per example; shapes as in `softmax`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from longtail.functional.adjusted import log_odds_against
from longtail.functional.hinge import lead
from longtail.functional.mixtures import IGNORE, Value, across, is_soft, mixture, of_target, widen
from longtail.functional.softmax import cross_entropy


def maximum_margins(
    logits: Tensor,
    targets: Tensor,
    delta_minus: Value = 0.6,
    beta: Value = 1.5,
    *,
    less: Tensor | None = None,
    ignore_index: int = IGNORE,
) -> Tensor:
    """The margin of every example, a constant of the gradient.

    With m = z_y - max_{j != y} z_j: Delta = exp(-m - delta_plus) where the example is right (m > 0), and
    exp(m - delta_minus) where it is wrong or tied; delta_plus = beta delta_minus.

    Args:
        logits: (N, C, d1..dk), cosines in the paper, before any scale.
        targets: class indices (N, d1..dk) or soft targets of the logits' shape.
        delta_minus: how much smaller than 1 the margin of a tied example is, in logs.
        beta: delta_plus / delta_minus.
        less: (C,), taken off delta_minus (and beta times it off delta_plus), so that class has a larger margin.
        ignore_index: the index that marks a position as ignored.

    Returns:
        (N, d1..dk), or (N, C, d1..dk) for soft targets: the margin of every class, were it the target.
    """
    z = widen(logits).detach()
    m = lead(z, targets, ignore_index=ignore_index)
    minus: Value | Tensor = delta_minus
    if less is not None:
        less = less.to(z.device, z.dtype)
        minus = delta_minus - (across(less, z) if is_soft(targets) else of_target(less, targets, ignore_index))
    return torch.exp(torch.where(m > 0, -m - beta * minus, m - minus))


def example_margin(
    logits: Tensor, targets: Tensor, margins: Tensor, scale: Value = 30.0, *, ignore_index: int = IGNORE
) -> Tensor:
    """Cross-entropy of s z with the true logit lowered by the example's own margin: `ldam`, example by example.

    Args:
        logits: (N, C, d1..dk).
        targets: class indices (N, d1..dk) or soft targets of the logits' shape.
        margins: Delta as `maximum_margins` returns them.
        scale: s > 0.
        ignore_index: the index that marks a position as ignored.
    """
    z = widen(logits)
    if is_soft(targets):
        return mixture(F.softplus(log_odds_against(scale * z) + scale * margins, threshold=40), targets)
    index = targets.masked_fill(targets == ignore_index, 0).unsqueeze(1)
    lowered = z.scatter_add(1, index, -margins.unsqueeze(1))
    return cross_entropy(lowered * scale, targets, ignore_index=ignore_index)
