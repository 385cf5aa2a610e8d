"""Corrections of scores as pure functions, on tensors or NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

import numpy as np
import torch
from torch import Tensor, nn

from longtail.facts.arrays import COUNT
from longtail.facts.counts import log_priors
from longtail.facts.knobs import Range
from longtail.functional import across, widen

T = TypeVar("T", Tensor, np.ndarray)

ROW_SUM_TOLERANCE = 1e-3  # rounding of 16-bit softmax rows over thousands of classes


def adjust_logits(logits: T, counts: Any, tau: float = 1.0, *, zero_count: str | float = "error") -> T:
    """Logit adjustment after training: subtract the log prior of the training classes from the logits.

    z'_j = z_j - tau log pi_j, pi_j = n_j / N

    Not re-normalised: only differences between classes are meaningful. tau = 1 turns the scores of a
    calibrated network into those for a uniform prior.

    Args:
        logits: (N, C, d1..dk), tensor or array; log-probabilities do as well. Narrower than float32 becomes
            float32.
        counts: training counts (C,), all > 0 unless `zero_count` says otherwise; by key where they have keys (a dict, a
            Counter, a pandas Series).
        tau: >= 0; 0 changes nothing.
        zero_count: "mask" gives an empty class the score -inf; a number > 0 replaces its count.

    Returns:
        Like `logits`.

    Reference: Menon et al. 2021, "Long-tail learning via logit adjustment", eq. 9.
    """
    offsets = prior_offsets(log_priors(counts, zero_count), tau)
    return apply_to(logits, lambda z: subtract_offsets(z, offsets))


def move_threshold(probs: T, cost: Any) -> T:
    """Threshold moving: weigh every class's probability by what missing it costs.

    p'_k = p_k sum_c Cost[k, c] / sum_j p_j sum_c Cost[j, c]

    Row costs pi_k^(-tau) make it post-hoc logit adjustment.

    Args:
        probs: (N, C, d1..dk), tensor or array, rows summing to 1.
        cost: (C, C), Cost[k, c] >= 0 of calling an example of class k a c; the diagonal is 0.

    Returns:
        Moved probabilities, like `probs`, summing to 1 over classes; a row with all its mass on classes that
        cost nothing stays as it is.

    Reference: Zhou and Liu 2006, "Training Cost-Sensitive Neural Networks with Methods Addressing the Class
    Imbalance Problem", TKDE 18, section 2.3.
    """
    total = _row_costs(cost)

    def moved(p: Tensor) -> Tensor:
        p, products, mass = weighed(p, total)
        return torch.where(mass > 0, products / mass.clamp(min=torch.finfo(p.dtype).tiny), p)

    return apply_to(probs, moved)


@overload
def normalize_tau(weight: nn.Linear, tau: float = 1.0) -> nn.Linear: ...


@overload
def normalize_tau(weight: T, tau: float = 1.0) -> T: ...


def normalize_tau(weight: Any, tau: float = 1.0) -> Any:
    """tau-normalisation: class vectors of more equal length.

    w'_j = w_j / ||w_j||^tau

    A linear head gives a new head without a bias, which is what the authors' code tests; put it in place with
    `heads.swap_head`. A zero row stays zero.

    Args:
        weight: an `nn.Linear`, which is not changed, or classifier rows (C, D), tensor or array.
        tau: >= 0; 0 leaves the rows as they are, 1 makes all lengths 1.

    Returns:
        Like `weight`.

    Reference: Kang et al. 2020, "Decoupling Representation and Classifier", eq. 4.
    """
    Range(0, open_high=True).check("tau", tau)
    if isinstance(weight, nn.Linear):
        rows = weight.weight
        head: nn.Linear = nn.utils.skip_init(  # type: ignore[no-untyped-call]
            nn.Linear, weight.in_features, weight.out_features, bias=False, device=rows.device, dtype=rows.dtype
        )
        with torch.no_grad():
            head.weight.copy_(normalize_tau(rows.detach(), tau))
        return head.requires_grad_(rows.requires_grad)

    def normalized(w: Tensor) -> Tensor:
        if w.ndim != 2 or not w.is_floating_point():
            raise ValueError(
                f"weight must be floating-point of shape (C, D), got {w.dtype} of shape {tuple(w.shape)}; "
                "pass head.weight"
            )
        wide = widen(w)
        length = torch.linalg.vector_norm(wide, dim=1, keepdim=True)
        return (wide / torch.where(length > 0, length, 1.0).pow(tau)).to(w.dtype)

    return apply_to(weight, normalized)


def prior_offsets(log_prior: Tensor, tau: float) -> Tensor:
    """Return what is subtracted from the logits, tau log pi (C,); +inf for a masked class, whatever tau."""
    Range(0, open_high=True).check("tau", tau)
    return prior_shift(log_prior, tau)


def prior_shift(log_prior: Tensor, by: float) -> Tensor:
    """Return `by` log pi (C,) for any number; +inf for a masked class."""
    return torch.where(torch.isneginf(log_prior), torch.inf, by * log_prior)


def subtract_offsets(logits: Tensor, offsets: Tensor) -> Tensor:
    """Return logits (N, C, d1..dk) minus one offset per class."""
    if logits.ndim > 1 and logits.shape[1] != len(offsets):
        raise ValueError(
            f"logits must have {len(offsets)} classes in dimension 1, as many as there are counts, got shape "
            f"{tuple(logits.shape)}; {COUNT}"
        )
    logits = checked_scores(logits, len(offsets), "logits")
    return logits - across(offsets, logits)


def checked_scores(values: Tensor, num_classes: int, name: str) -> Tensor:
    """Return values (N, C, d1..dk), checked, float32 or wider."""
    if not values.is_floating_point() or values.ndim < 2 or values.shape[1] != num_classes:
        raise ValueError(
            f"{name} must be floating-point of shape (N, {num_classes}, ...), got {values.dtype} of shape "
            f"{tuple(values.shape)}; pass one row of {num_classes} per example"
        )
    return widen(values)


def checked_probabilities(probs: Tensor, num_classes: int) -> Tensor:
    """Return probabilities (N, C, d1..dk), checked, float32 or wider."""
    wide = checked_scores(probs, num_classes, "probs")
    total = wide.sum(1)
    if bool(((total - 1).abs() <= ROW_SUM_TOLERANCE).all()) and bool((wide >= 0).all()):
        return wide
    worst = float(total.flatten()[(total - 1).abs().nan_to_num(torch.inf).argmax()])
    raise ValueError(
        f"probs must be >= 0 with rows that sum to 1, got a row with sum {worst:.6g} and a minimum of "
        f"{float(wide.min()):.6g}; take the softmax of logits first"
    )


def weighed(probs: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return checked probabilities, their products with a weight (C,), and the sum of these over the classes."""
    p = checked_probabilities(probs, len(weight))
    products = p * across(weight, p)
    return p, products, products.sum(1, keepdim=True)


def apply_to(values: T, function: Callable[[Tensor], Tensor]) -> T:
    """Apply a function of tensors to a tensor or an array; the result is of the same kind."""
    if isinstance(values, Tensor):
        return function(values)
    return function(as_tensor(values)).numpy()


def as_tensor(values: Any) -> Tensor:
    """Return a tensor as it is, anything else as a copy: arrays may be read-only."""
    return values if isinstance(values, Tensor) else torch.tensor(np.asarray(values))


def in_float64(values: Any) -> Tensor:
    """Return numbers as a float64 tensor."""
    return values.detach().double() if isinstance(values, Tensor) else torch.tensor(np.asarray(values, np.float64))


def _row_costs(cost: Any) -> Tensor:
    matrix = in_float64(cost)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"cost must be square, (C, C), got shape {tuple(matrix.shape)}; its row k is what missing class k costs"
        )
    wrong = ~(matrix.isfinite() & (matrix >= 0))
    if bool(wrong.any()):
        k, c = torch.nonzero(wrong)[0].tolist()
        raise ValueError(f"cost must be finite and >= 0, got {float(matrix[k, c])} at [{k}, {c}]; correct the matrix")
    if bool((matrix.diagonal() != 0).any()):
        k = int(torch.nonzero(matrix.diagonal())[0])
        raise ValueError(
            f"cost must be 0 on its diagonal, got {float(matrix[k, k])} for class {k}; being right costs nothing"
        )
    return matrix.sum(1)
