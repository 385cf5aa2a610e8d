"""Losses with a margin on the true class. All per example, none reduced; shapes as in `softmax`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from longtail.facts.counts import positive_counts
from longtail.functional.adjusted import Adjustment, adjusted_cross_entropy
from longtail.functional.mixtures import IGNORE, Value


def ldam_margins(
    counts: Any,
    max_margin: float = 0.5,
    *,
    exponent: float = 0.25,
    test_prior: Tensor | None = None,
    zero_count: str | float = "error",
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Delta_j = max_margin r_j^exponent / max_k r_k^exponent, r_j = 1 / n_j or n'_j / n_j, (C,).

    The class of the largest r gets max_margin exactly: without a test prior the rarest. Computed in float64, returned
    in the default dtype.

    Args:
        counts: class counts n (C,).
        max_margin: >= 0, the paper's C up to its scale.
        exponent: >= 0; 1/4 in the paper, 0 gives every class max_margin.
        test_prior: n' (C,) >= 0, shares or counts of the classes in the test data, where these are known and differ.
        zero_count: what an empty class means: "error" names it, "mask" gives it no margin and leaves it
            out of the maximum, a number replaces it.
        dtype: of the result.

    Raises:
        ValueError: a class without examples, unless `zero_count` says otherwise.

    Reference: Cao et al., Label-Distribution-Aware Margin Loss, NeurIPS 2019, section 3.2, eq. 12-13, and eq. 15 for
    the test prior; scaled to a maximum as in their code.
    """
    n = positive_counts(counts, zero_count)
    r = n.clamp(min=torch.finfo(n.dtype).tiny)  # of 1 / r, so that the margins of counts alone are exact
    r = r if test_prior is None else r / test_prior.to(r)
    shape = torch.where(n > 0, (r[n > 0].min() / r).pow(exponent), 0.0)
    return (max_margin * shape).to(dtype or torch.get_default_dtype())


def ldam(
    logits: Tensor, targets: Tensor, margins: Tensor, scale: Value = 30.0, *, ignore_index: int = IGNORE
) -> Tensor:
    """Label-distribution-aware margin loss.

    l(z, y) = -log( e^(s (z_y - Delta_y)) / (e^(s (z_y - Delta_y)) + sum_{j != y} e^(s z_j)) )

    Args:
        logits: (N, C, d1..dk), cosines in the paper.
        targets: class indices (N, d1..dk) or soft targets of the logits' shape; under a soft target every
            class k is the true one in turn, with its own margin.
        margins: Delta (C,), see `ldam_margins`.
        scale: s > 0.
        ignore_index: the index that marks a position as ignored.

    Reference: Cao et al., Label-Distribution-Aware Margin Loss, NeurIPS 2019, section 3.2, eq. 12-13.
    """
    adjustment = Adjustment(factor=scale, true_offset=-scale * margins)
    return adjusted_cross_entropy(logits, targets, adjustment, ignore_index=ignore_index)
