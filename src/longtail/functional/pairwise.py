"""The pairwise-margin family of logit adjustment. Per example; shapes as in `softmax`."""

from __future__ import annotations

from torch import Tensor

from longtail.functional.adjusted import Adjustment, adjusted_cross_entropy
from longtail.functional.mixtures import IGNORE


def pairwise(
    logits: Tensor,
    targets: Tensor,
    log_delta: Tensor,
    margins: Tensor | None = None,
    *,
    ignore_index: int = IGNORE,
) -> Tensor:
    """Pairwise-margin loss without its weight alpha.

    l(z, y) = log( 1 + sum_{k != y} e^(Delta_yk + z_k - z_y) ), Delta_yk = log(delta_k / delta_y) + margin_y

    Args:
        logits: (N, C, d1..dk).
        targets: class indices (N, d1..dk) or soft targets of the logits' shape.
        log_delta: log delta (C,); a class with -inf leaves the sum, gets no gradient, and soft targets on it
            cost nothing.
        margins: (C,), of the true class; None for zeros.
        ignore_index: the index that marks a position as ignored.

    Reference: Menon et al., Long-tail learning via logit adjustment, ICLR 2021, eq. 11.
    """
    adjustment = Adjustment(offset=log_delta, true_offset=None if margins is None else -margins)
    return adjusted_cross_entropy(logits, targets, adjustment, ignore_index=ignore_index)
