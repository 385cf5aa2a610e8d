"""Soft labels with prescribed class totals: the projection that DARP, SoLar and geometric label allocation share."""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor

from longtail.facts import checks
from longtail.functional.dual_newton import Dual, minimum

SUM_TOLERANCE = 1e-6
"""Relative difference between the sum of the totals and the number of rows that counts as rounding."""
NO_ROW = 1e-9
"""A class with a smaller total, in rows, has none: its multiplier would be out of reach of float64."""


class Projection(NamedTuple):
    """The result of `project_on_totals`: unpack as labels, multipliers, residual, iterations."""

    labels: Tensor
    """y (M, K), in the dtype of the input; rows sum to 1, columns to the totals."""
    multipliers: Tensor
    """b (K,) float64, of mean 0 over the classes with a total above 0, -inf for the others."""
    residual: float
    """max_k |sum_m y_mk - M_k| / M_k over the classes with a total above 0, in float64; M_k >= 1e-6 in the quotient."""
    iterations: int
    """How often the columns were summed."""


@torch.no_grad()
def project_on_totals(
    probs: Tensor,
    totals: Any,
    *,
    weights: Tensor | None = None,
    log: bool = False,
    rescale: bool = False,
    start: Tensor | None = None,
    tolerance: float = 1e-9,
    max_iterations: int = 300,
) -> Projection:
    """Return the soft labels nearest to `probs` whose rows sum to 1 and whose columns sum to the totals.

    minimise sum_m w_m KL(y_m || p_m)  subject to  sum_k y_mk = 1, sum_m y_mk = M_k

    The one solution is y_mk = p_mk exp(b_k / w_m) / sum_j p_mj exp(b_j / w_m), with b (K,) the maximum of the concave
    dual b.M - sum_m w_m log sum_k p_mk exp(b_k / w_m), by Newton's method in float64. Zeros of p are zeros of y. Equal
    weights give the limit of iterative proportional fitting (Sinkhorn); with p = exp(q / eps) and w = 1 it is the
    entropic relaxation of an assignment with scores q: pass q / eps and log=True.

    Args:
        probs: p (M, K) >= 0, some p_mk > 0 in every row; rows need not sum to 1.
        totals: M_k (K,) >= 0, summing to M; a class of total 0, or below 1e-9, gets zeros.
        weights: w (M,) > 0; None for equal ones.
        log: whether `probs` are log p instead, with -inf for a zero.
        rescale: whether totals that do not sum to M are scaled until they do, instead of refused.
        start: multipliers to begin from, such as those of a similar problem.
        tolerance: of the residual.
        max_iterations: >= 1; where the residual is larger by then a warning is issued.

    Memory is that of two (M, K) in float64, an iteration O(M K^2).

    Raises:
        ValueError: totals that do not sum to M, or that no labels with these zeros have; negative or non-finite values.

    Reference: Kim et al., Distribution Aligning Refinery of Pseudo-label, NeurIPS 2020, eq. 1 (the problem).
    """
    checks.number("tolerance", tolerance, "1e-9 is the default", low=0)
    checks.whole("max_iterations", max_iterations, "300 is the default", low=1)
    logs = _logs(probs, log)
    size, classes = logs.shape
    sums = _totals(totals, size, classes, rescale)
    w = _weights(weights, logs)
    used = sums > 0
    columns = used.nonzero()[:, 0].to(logs.device)
    inner = logs if bool(used.all()) else logs[:, columns]
    _check_support(inner.isneginf(), sums[used], columns.tolist())
    dual = Dual(inner, 1 / w, sums[used])
    first = torch.zeros_like(dual.totals) if start is None else _start(start, classes)[used].nan_to_num(0.0, 0.0, 0.0)
    found = minimum(dual, first, tolerance, max_iterations, lambda b: _check_reachable(inner, sums[used], b, columns))
    if not found.residual <= tolerance:
        warnings.warn(
            f"project_on_totals stopped after {found.iterations} iterations at a residual of {found.residual:.1e}, "
            f"above its tolerance {tolerance:g}; raise either",
            RuntimeWarning,
            stacklevel=2,
        )
    labels = torch.zeros(size, classes, dtype=probs.dtype, device=probs.device)
    row = 0
    for some in dual.labels(found.multipliers):  # into place: a large problem has no room for a copy
        labels[row : row + len(some), columns] = some.to(probs.dtype)
        row += len(some)
    multipliers = torch.full((classes,), -math.inf, dtype=torch.float64)
    multipliers[used] = found.multipliers - found.multipliers.mean()
    return Projection(labels, multipliers.to(probs.device), found.residual, found.iterations)


def _logs(probs: Tensor, log: bool) -> Tensor:
    if not isinstance(probs, Tensor) or not probs.is_floating_point() or probs.ndim != 2 or not probs.numel():
        got = f"shape {tuple(probs.shape)}, {probs.dtype}" if isinstance(probs, Tensor) else type(probs).__name__
        raise ValueError(f"probs must be a floating-point tensor (M, K) with M, K >= 1, got {got}; pass soft labels")
    values = probs.detach().double()
    bad = values.isnan() | values.isposinf() | ((values < 0) if not log else torch.zeros_like(values, dtype=torch.bool))
    if bool(bad.any()):
        row = int(bad.any(1).nonzero()[0])
        rule = "smaller than infinity" if log else "finite and >= 0"
        raise ValueError(f"probs must be {rule}, got {values[row][bad[row]][0]:g} in row {row}; pass softmax outputs")
    return values if log else values.log()


def _totals(totals: Any, size: int, classes: int, rescale: bool) -> Tensor:
    sums = torch.as_tensor(totals, dtype=torch.float64).detach().cpu()
    if sums.shape != (classes,):
        raise ValueError(f"totals must have shape ({classes},), got {tuple(sums.shape)}; give one number per class")
    if not bool((sums.isfinite() & (sums >= 0)).all()) or not float(sums.sum()) > 0:
        raise ValueError(
            f"totals must be finite, >= 0 and not all 0, got {sums.tolist()}; count the rows of each class"
        )
    if not rescale and abs(float(sums.sum()) - size) > SUM_TOLERANCE * size:
        raise ValueError(
            f"totals must sum to the number of rows, {size}, got a sum of {float(sums.sum()):g}; correct them, or pass "
            "rescale=True to scale them all alike"
        )
    sums = sums * (size / sums.sum())
    sums[sums < NO_ROW] = 0.0
    return sums * (size / sums.sum())


def _weights(weights: Tensor | None, logs: Tensor) -> Tensor:
    if weights is None:
        return torch.ones(len(logs), dtype=torch.float64, device=logs.device)
    w = torch.as_tensor(weights).detach().to(logs)
    if w.shape != (len(logs),) or not bool((w.isfinite() & (w > 0)).all()):
        raise ValueError(
            f"weights must be ({len(logs)},), finite and > 0, got shape {tuple(w.shape)}"
            f"{f', smallest {float(w.min()):g}' if w.numel() else ''}; leave them out for equal weights"
        )
    return w


def _start(start: Tensor, classes: int) -> Tensor:
    b = torch.as_tensor(start, dtype=torch.float64).detach().cpu()
    if b.shape != (classes,):
        raise ValueError(f"start must have shape ({classes},), got {tuple(b.shape)}; leave it out to begin from 0")
    return b


def _check_support(zeros: Tensor, sums: Tensor, names: list[int]) -> None:
    lost = zeros.all(1)
    if bool(lost.any()):
        row = int(lost.nonzero()[0])
        raise ValueError(
            f"probs must be > 0 for some class with a total above 0 in every row, got none in row {row} "
            f"({int(lost.sum())} rows in all); give its classes a total, or leave the row out"
        )
    empty = zeros.all(0)
    if bool(empty.any()):
        k = int(empty.nonzero()[0])
        raise ValueError(
            f"totals must be 0 for a class that probs leaves no row, got {float(sums[k]):g} for class {names[k]}; "
            "set it to 0 and rescale, or add a small number to probs"
        )


def _check_reachable(logs: Tensor, sums: Tensor, multipliers: Tensor, columns: Tensor) -> None:
    """Refuse totals where some classes, those with the largest multipliers, need more rows than allow any of them.

    Where no labels have the totals, the dual grows without bound in a direction whose upper level sets include such
    classes.
    """
    order = multipliers.argsort(descending=True)
    allowed = ~logs[:, order.to(logs.device)].isneginf()
    reached = torch.bincount(allowed.to(torch.int8).argmax(1), minlength=len(sums)).cumsum(0).cpu()
    needed = sums[order].cumsum(0)
    short = needed > reached * (1 + SUM_TOLERANCE)
    if bool(short.any()):
        j = int((needed / reached).argmax())
        names = sorted(columns[order[: j + 1].to(columns.device)].tolist())
        listed = ", ".join(map(str, names[:8])) + (", ..." if len(names) > 8 else "")
        raise ValueError(
            f"totals must be attainable where probs > 0, got {float(needed[j]):g} for class {listed}, which "
            f"{int(reached[j])} rows allow; lower them, or add a small number to probs"
        )
