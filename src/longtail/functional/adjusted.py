"""Cross-entropy of logits that are adjusted by constants per class: the formula of most losses for rare classes.

Shapes as in `softmax`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import forward_ad

from longtail.functional import gpu
from longtail.functional.closed_form import ClosedForm, Piece, runs_in_pieces
from longtail.functional.index_loss import NONE as NONE
from longtail.functional.index_loss import Adjustment as Adjustment
from longtail.functional.index_loss import in_functorch
from longtail.functional.mixtures import IGNORE, Value, across, is_soft, mixture, widen


def adjusted_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    adjustment: Adjustment = NONE,
    *,
    ignore_index: int = IGNORE,
) -> Tensor:
    """Cross-entropy of adjusted logits: l(z, y) = -log softmax(a)_y. For class indices on a CPU in pieces, on a GPU by
    one kernel.

    Under a soft target every class k is the true one in turn, with its own t_k; one with o_k = -inf costs nothing.

    Args:
        logits: (N, C, d1..dk).
        targets: class indices (N, d1..dk) or soft targets of the logits' shape.
        adjustment: b, o and t.
        ignore_index: the index that marks a position as ignored.
    """
    form = AdjustedCrossEntropy(ignore_index, adjustment)
    if gpu.runs(form, logits, targets):
        return gpu.each(form, logits, targets)
    z = widen(logits)
    if is_soft(targets):
        return _mixed(form, z, targets)
    if adjustment is NONE:
        return F.cross_entropy(z, targets, reduction="none", ignore_index=ignore_index)
    return form(z, targets)


def total_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    adjustment: Adjustment = NONE,
    *,
    weight: Tensor | None = None,
    mean: bool = False,
    ignore_index: int = IGNORE,
) -> tuple[Tensor, Tensor]:
    """sum_i w_{y_i} l(z_i, y_i) and sum_i w_{y_i} over what is not ignored, in one kernel after the softmax.

    Args:
        logits: (N, C).
        targets: class indices (N,).
        adjustment: b, o and t.
        weight: w (C,); None for ones.
        mean: divide the first by the second; NaN where that is 0.
        ignore_index: the index that marks a position as ignored.
    """
    z = widen(logits)
    form = AdjustedCrossEntropy(ignore_index, adjustment)
    log_p = torch.log_softmax(form.adjusted(z, targets), 1)
    sums = torch.ops.aten.nll_loss_forward.default(log_p, targets, weight, 1 if mean else 2, ignore_index)
    return cast("tuple[Tensor, Tensor]", sums)


def totals_pay(logits: Tensor, targets: Tensor, adjustment: Adjustment) -> bool:
    """Whether `total_cross_entropy` runs here, and no slower than the loss of every position.

    A loss with many logits is faster in pieces on a CPU; transformations have no rule for the sums.
    """
    return (
        not torch.compiler.is_compiling()
        and logits.ndim == 2
        and not is_soft(targets)
        and not in_functorch()
        and forward_ad._current_level < 0
        and (adjustment is NONE or not runs_in_pieces(logits, adjustment))
    )


@dataclass(frozen=True)
class AdjustedCrossEntropy(ClosedForm):
    """l(z, y) = -log softmax(a)_y."""

    ignore_index: int
    adjustment: Adjustment

    def formula(self, logits: Tensor, targets: Tensor) -> Tensor:
        """By torch's cross-entropy."""
        a = self.adjusted(logits, targets)
        return F.cross_entropy(a, targets, reduction="none", ignore_index=self.ignore_index)

    def adjusted(self, z: Tensor, targets: Tensor) -> Tensor:
        """Return a for class indices."""
        a, true_offset = self.shifted(z), self.adjustment.true_offset
        if true_offset is None:
            return a
        # any class serves an ignored position; an index that is no class is refused by the cross-entropy
        index = targets.clamp(0, z.shape[1] - 1)
        own = true_offset.to(z.device, z.dtype)[index].unsqueeze(1)
        if a is z or in_functorch():
            return a.scatter_add(1, index.unsqueeze(1), own)
        return a.scatter_add_(1, index.unsqueeze(1), own)

    def shifted(self, z: Tensor) -> Tensor:
        """Return b z + o."""
        a = z if self.adjustment.factor is None else z * _factor(self.adjustment.factor, z)
        return a if self.adjustment.offset is None else a + across(self.adjustment.offset, z)

    def losses(self, z: Tensor, index: Tensor, at: Piece) -> Tensor:
        """Return -log softmax(a)_y."""
        return -torch.log_softmax(self._piece(z, index), 1).gather(1, index)

    def write_gradient(self, z: Tensor, index: Tensor, at: Piece, g: Tensor, out: Tensor) -> None:
        """g b_j (softmax(a)_j - [j = y])."""
        torch.softmax(self._piece(z, index), 1, out=out)
        out.mul_(g).scatter_add_(1, index, -g)
        if self.adjustment.factor is not None:
            out.mul_(_factor(self.adjustment.factor, z))

    def _piece(self, z: Tensor, index: Tensor) -> Tensor:
        factor, offset, true_offset = self.adjustment
        a = z + 0.0 if factor is None and offset is None else z if factor is None else z * _factor(factor, z)
        if offset is not None:
            a = a + across(offset, z) if a is z else a.add_(across(offset, z))
        return a if true_offset is None else a.scatter_add_(1, index, true_offset.to(z.dtype)[index])


def _factor(factor: Value, z: Tensor) -> Value:
    return across(factor, z) if isinstance(factor, Tensor) and factor.ndim > 0 else factor


def _mixed(form: AdjustedCrossEntropy, z: Tensor, q: Tensor) -> Tensor:
    a, offset, true_offset = form.shifted(z), form.adjustment.offset, form.adjustment.true_offset
    if true_offset is None:
        each = -torch.log_softmax(a, 1)
    else:
        each = F.softplus(log_odds_against(a) - across(true_offset, z), threshold=40)
    if offset is not None:
        each = torch.where(torch.isneginf(across(offset, z)), 0.0, each)
    return mixture(each, q)


def log_odds_against(logits: Tensor) -> Tensor:
    """log((1 - p_k) / p_k) = logsumexp_{j != k} z_j - z_k for every class k, p = softmax(z); (N, C, d1..dk).

    The likeliest class has 1 - p_k computed from the others: 1 - p_k itself would cancel. For the rest
    p_k <= 1/2 and log1p(-p_k) is exact.
    """
    log_p = torch.log_softmax(logits, 1)
    top = torch.zeros_like(log_p, dtype=torch.bool).scatter(1, log_p.argmax(1, keepdim=True), True)
    others = torch.logsumexp(log_p.masked_fill(top, -torch.inf), 1, keepdim=True)
    rest = torch.log1p(-log_p.masked_fill(top, -torch.inf).exp())
    return torch.where(top, others, rest) - log_p
