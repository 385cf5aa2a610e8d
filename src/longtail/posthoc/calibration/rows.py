"""The rows that a calibration is fitted on: log-probabilities, classes, weights, and how many rows they amount to."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from longtail.facts import checks
from longtail.posthoc.corrections import ROW_SUM_TOLERANCE, as_tensor, checked_scores
from longtail.posthoc.priors import checked_prior


class Rows(NamedTuple):
    """Rows of weight > 0, in float64 on the CPU."""

    log_probs: Tensor
    """(N, C), normalised."""
    targets: Tensor
    """(N,)"""
    weight: Tensor
    """(N,), sample weight times prior / class share; they sum to 1."""
    counts: Tensor
    """(C,) rows per class: sums of the sample weights."""
    size: float
    """The effective number of rows: (sum_i s_i r_i)^2 / sum_i s_i r_i^2, s the sample weights, r the prior's ratios."""
    copies: Tensor
    """(N,), the sample weights s: of how many rows each row is a copy."""

    def subset(self, chosen: Tensor) -> Rows:
        """Return the chosen rows (N,) bool; their weights keep the ratios that the prior gave them."""
        return weighed(
            self.log_probs[chosen],
            self.targets[chosen],
            self.copies[chosen],
            self.weight[chosen] / self.copies[chosen],
            len(self.counts),
        )


def checked_rows(
    log_probs: Any, targets: Any, num_classes: int, sample_weight: Any = None, prior: Any = None
) -> Rows:  # fmt: skip
    """Return the rows, checked.

    Raises:
        ValueError: log-probabilities of another shape, that are not finite or are probabilities, targets that are no
            class index per row, weights that are negative, no row of weight > 0, a prior that does not sum to 1.
    """
    z = as_logarithms(log_probs, num_classes)
    y = as_tensor(targets).detach().cpu()
    if y.shape != z.shape[:1] or not len(y) or y.is_floating_point():
        raise ValueError(
            f"targets must be one class index per row of log_probs (N, C), N >= 1, got {y.dtype} of shape "
            f"{tuple(y.shape)} for log_probs of shape {tuple(z.shape)}; pass a validation part"
        )
    y = y.long()
    if bool(((y < 0) | (y >= num_classes)).any()):
        wrong = int(y[(y < 0) | (y >= num_classes)][0])
        raise ValueError(f"targets must be in [0, {num_classes}), got {wrong}; drop what has no label")
    copies = checked_weight(sample_weight, len(y))
    ratio = torch.ones(num_classes, dtype=torch.float64)
    if prior is not None:
        new = checked_prior(prior, "prior", positive=False).cpu()
        if len(new) != num_classes:
            raise ValueError(f"prior must have {num_classes} shares, one for every class, got {len(new)}; give each")
        shares = copies.new_zeros(num_classes).index_add(0, y, copies) / copies.sum()
        ratio = torch.where(shares > 0, new / shares.clamp(min=torch.finfo(torch.float64).tiny), 0.0)
    kept = (copies > 0) & (ratio[y] > 0)
    if not bool(kept.any()):
        raise ValueError("prior must give a share to a class that has rows, got none; leave prior out")
    return weighed(z[kept], y[kept], copies[kept], ratio[y[kept]], num_classes)


def weighed(z: Tensor, y: Tensor, copies: Tensor, ratio: Tensor, num_classes: int) -> Rows:
    """Return rows of these copies s (N,) and ratios r (N,): weights s r, and their effective number."""
    weight = copies * ratio
    counts = copies.new_zeros(num_classes).index_add(0, y, copies)
    size = float(weight.sum() ** 2 / (weight * ratio).sum())
    return Rows(z, y, weight / weight.sum(), counts, size, copies)


def as_logarithms(log_probs: Any, num_classes: int, name: str = "log_probs") -> Tensor:
    """Return log-probabilities as `normalised` does, on the CPU; probabilities in their place are refused."""
    z = normalised(log_probs, num_classes, name).detach().cpu()
    given = as_tensor(log_probs)
    if len(given) and bool((given >= 0).all()) and bool(((given.sum(1) - 1).abs() <= ROW_SUM_TOLERANCE).all()):
        raise ValueError(f"{name} must be logarithms, got rows that are >= 0 and sum to 1; pass their logarithm")
    return z


def normalised(log_probs: Any, num_classes: int, name: str = "log_probs") -> Tensor:
    """Return log-probabilities (N, C) in float64, normalised; logits do as well.

    Raises:
        ValueError: another shape, or values that are not finite.
    """
    z = checked_scores(as_tensor(log_probs), num_classes, name)
    if z.ndim != 2:
        raise ValueError(f"{name} must be (N, {num_classes}), got shape {tuple(z.shape)}; pass one row per example")
    checks.finite(z, name)
    return z.double().log_softmax(1)


def checked_weight(sample_weight: Any, n: int) -> Tensor:
    """Return weights (N,) in float64, checked: >= 0, finite, one above 0; ones where there are none."""
    if sample_weight is None:
        return torch.ones(n, dtype=torch.float64)
    weight = as_tensor(sample_weight).detach().cpu().double()
    if weight.shape != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), got {tuple(weight.shape)}; give one weight per row")
    bad = ~(weight.isfinite() & (weight >= 0))
    if bool(bad.any()):
        i = int(torch.nonzero(bad)[0])
        raise ValueError(
            f"sample_weight must be >= 0 and finite, got {float(weight[i])} at row {i}; use 0 to leave a row out"
        )
    if not bool((weight > 0).any()):
        raise ValueError("sample_weight must be > 0 for some row, got only 0; correct the weights")
    return weight
