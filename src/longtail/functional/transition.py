"""Which label a row of each class gets: transition matrices, cross-entropy corrected by one, and its estimate.

T (C, C) has T_ij = P(label j | class i): its rows sum to 1. Shapes of the losses as in `softmax`.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from longtail.functional.mixtures import IGNORE, is_soft, mixture, widen
from longtail.functional.softmax import cross_entropy

LEAST = 1e-12
"""The smallest entry of an estimate: no label is impossible."""
WORST = 1e8
"""The largest condition number of a matrix that is inverted."""
SUM = 1e-4
"""How far from 1 a row may sum: probabilities may come in half precision."""


def stochastic_matrix(
    matrix: Any, size: int | None = None, *, name: str = "matrix", invertible: bool = False
) -> Tensor:
    """Return T (C, C) in float64 on the CPU, from nested sequences, an array or a tensor.

    Args:
        matrix: its rows sum to 1, and every label has a probability above 0 in some class.
        size: C, where it is known.
        invertible: whether its inverse is needed.

    Raises:
        TypeError: not numbers.
        ValueError: another shape, numbers outside [0, 1], rows that do not sum to 1, a label that no class can get, or
            a singular matrix that must be inverted.
    """
    try:
        found = torch.as_tensor(matrix, dtype=torch.float64).detach().cpu()
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"matrix must be C rows of C numbers, got {_short(matrix)}; pass a list of lists") from None
    shape = tuple(found.shape)
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] == 0 or size not in (None, shape[0]):
        wanted = (
            "square, one row and one column per class" if size is None else f"({size}, {size}), as there are classes"
        )
        raise ValueError(f"matrix must be {wanted}, got shape {shape}; row i has P(label j | class i)")
    if not bool(((found >= 0) & (found <= 1)).all()):
        raise ValueError(
            f"matrix must have probabilities in [0, 1], got {_outside(found)}; row i has P(label j | class i)"
        )
    sums = found.sum(1)
    wrong = torch.nonzero((sums - 1).abs() > SUM).flatten().tolist()
    if wrong:
        turned = bool(((found.sum(0) - 1).abs() <= SUM).all())
        way = "its columns do: pass its transpose" if turned else "divide each row by its sum"
        got = f"{float(sums[wrong[0]]):g} in row {wrong[0]}"
        raise ValueError(f"matrix must have rows that sum to 1, got {got}; {way}")
    impossible = torch.nonzero(found.sum(0) == 0).flatten().tolist()
    if impossible:
        raise ValueError(
            f"matrix must give every label a probability above 0, got a column of zeros for label {impossible[0]}; "
            "leave the class out, or put a small number there"
        )
    if invertible and (condition := float(torch.linalg.cond(found))) > WORST:
        raise ValueError(
            f"matrix must be invertible, got a singular one (condition number {condition:.3g}); use the forward "
            "correction, which does not invert it"
        )
    return found


def _outside(matrix: Tensor) -> str:
    i, j = torch.nonzero(~((matrix >= 0) & (matrix <= 1)))[0].tolist()
    return f"{float(matrix[i, j]):g} in row {i}, column {j}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def forward_corrected(logits: Tensor, targets: Tensor, log_matrix: Tensor, *, ignore_index: int = IGNORE) -> Tensor:
    """l(z, y) = -log (T^T p)_y = -log sum_i e^(log T_iy + log p_i), p = softmax(z): the likelihood of the label.

    With T = I it is cross-entropy, bit for bit that of its formula. Memory: (N, C) for class indices, (N, C, C) for
    soft targets, which need the likelihood of every label.

    Args:
        logits: (N, C, d1..dk).
        targets: class indices (N, d1..dk) or soft targets of the logits' shape.
        log_matrix: log T (C, C), -inf where T is 0; no column is all -inf.
        ignore_index: the index that marks a position as ignored.

    Reference: Patrini et al., Making Deep Neural Networks Robust to Label Noise: a Loss Correction Approach, CVPR 2017,
    theorem 2.
    """
    log_p = torch.log_softmax(widen(logits), 1)
    log_t = log_matrix.to(log_p.device, log_p.dtype)
    if is_soft(targets):
        every = log_t.reshape(*log_t.shape, *[1] * (log_p.ndim - 2))
        return mixture(-torch.logsumexp(log_p.unsqueeze(2) + every, 1), targets)
    ignored = targets == ignore_index
    columns = log_t.T[torch.where(ignored, 0, targets)].movedim(-1, 1)
    return torch.where(ignored, 0.0, -torch.logsumexp(log_p + columns, 1))


def backward_corrected(logits: Tensor, targets: Tensor, inverse: Tensor, *, ignore_index: int = IGNORE) -> Tensor:
    """l(z, y) = -sum_j (T^-1)_yj log p_j, p = softmax(z): its mean over the labels of class i is -log p_i.

    It may be negative. With T = I it is cross-entropy.

    Args:
        logits: (N, C, d1..dk).
        targets: class indices (N, d1..dk) or soft targets of the logits' shape.
        inverse: T^-1 (C, C).
        ignore_index: the index that marks a position as ignored.

    Reference: Patrini et al., CVPR 2017, theorem 1.
    """
    rows = inverse.to(logits.device, widen(logits).dtype)
    if is_soft(targets):
        return cross_entropy(logits, (targets.movedim(1, -1).to(rows.dtype) @ rows).movedim(-1, 1))
    ignored = targets == ignore_index
    losses = cross_entropy(logits, rows[torch.where(ignored, 0, targets)].movedim(-1, 1))
    return torch.where(ignored, 0.0, losses)


def transition_matrix(probabilities: Any, *, percentile: float = 100.0) -> Tensor:
    """Estimate T (C, C), float64, from the probabilities that a network trained on the given labels has for N rows.

    T_i. = p(. | x_i), x_i the row whose p(label i | x) is the largest, or is at a percentile of those of all rows:
    at place ceil(percentile / 100 (N - 1)) of their increasing order. No entry is below 1e-12 before rows are divided
    by their sums, so that T is stochastic with every label possible, for a class that is never predicted, too; its row
    then says that it is mostly labelled as another class.

    Args:
        probabilities: (N, C), whose rows sum to 1.
        percentile: in (0, 100]. In a long tail the rows of a rare class are a small share of all rows, and a percentile
            below 100 minus that share in percent picks a row of another class.

    Raises:
        TypeError: not numbers.
        ValueError: another shape, no row, or rows that are no probabilities; a percentile out of range.

    Reference: Patrini et al., CVPR 2017, section 4.1, eq. 12-13; the 97th percentile is theirs for many classes.
    """
    if isinstance(percentile, bool) or not isinstance(percentile, int | float) or not 0 < percentile <= 100:
        raise ValueError(f"percentile must be in (0, 100], got {percentile!r}; 100 takes the largest probability")
    try:
        p = torch.as_tensor(probabilities, dtype=torch.float64).detach()
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"probabilities must be numbers (N, C), got {_short(probabilities)}; pass a tensor") from None
    if p.ndim != 2 or 0 in p.shape:
        raise ValueError(f"probabilities must be (N, C) with a row at least, got shape {tuple(p.shape)}; pass all rows")
    if not bool(((p >= 0) & (p <= 1.01)).all()) or not bool(((p.sum(1) - 1).abs() <= 1e-2).all()):
        raise ValueError("probabilities must have rows in [0, 1] that sum to 1, got others; pass scores.softmax(1)")
    place = math.ceil(percentile / 100 * (len(p) - 1))
    anchors = torch.stack([column.argsort(stable=True)[place] for column in p.unbind(1)])
    rows = p[anchors].clamp(min=LEAST)
    return rows / rows.sum(1, keepdim=True)
