"""NT-Xent of two views of the same examples, plain and focal. Per example, not reduced."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from longtail.functional.mixtures import Value
from longtail.functional.similarity import (
    check_ids,
    check_pair,
    check_temperature,
    check_width,
    full_precision,
    similarities,
    unit,
)
from longtail.functional.softmax import modulated

Gathered = tuple[Tensor, Tensor, Tensor]
"""Of other processes: their projections of the first view (M, D), of the second (M, D), and an integer for each row."""


def nt_xent(
    first: Tensor, second: Tensor, t: Value = 0.2, *, index: Tensor | None = None, gathered: Gathered | None = None
) -> Tensor:
    """NT-Xent: each projection must find its partner among the 2N - 1 others.

    l_i = (a_i + b_i) / 2,   a_i = -log( exp(s(u_i, v_i) / t) / sum_{k != i} exp(s(u_i, w_k) / t) )

    s is the cosine, u_i and v_i the projections of the two views of example i, w all 2N projections; b_i is a_i with
    the views exchanged. The positive is in the denominator, the anchor itself is not. By log-softmax: released code
    exponentiates the similarities and overflows in float32 at t = 0.01.

    Args:
        first, second: u and v (N, D), not normalised.
        t: temperature > 0, a float or a 0-dim tensor.
        index: the training row of each example (N,). A row that is in the batch twice is no negative of itself: of the
            candidates with the anchor's index only its partner is in the denominator.
        gathered: (u (M, D), v (M, D), index (M,)) of the examples of other processes: 2M further candidates of every
            anchor, under the same rule; they are no anchors. Needs `index`. The mean over all processes is the loss
            of the whole batch; so is its gradient where the gathering is differentiable. Candidates that were gathered
            without a gradient lack the part of the other processes' anchors.

    Returns:
        (N,), float32 or wider; 0 for an example without negatives.

    Raises:
        ValueError: shapes that do not fit, a temperature <= 0, or `gathered` without `index`.

    Reference: Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020, eq. 1.
    """
    with full_precision(first):
        return _anchors(first, second, t, index, gathered).view(2, -1).mean(0)


def focal_nt_xent(
    first: Tensor,
    second: Tensor,
    t: Value = 0.2,
    gamma: Value = 2.0,
    *,
    index: Tensor | None = None,
    gathered: Gathered | None = None,
) -> Tensor:
    """Focal NT-Xent: anchors that find their partner easily weigh less.

    l_i = (f(a_i) + f(b_i)) / 2,   f(a) = (1 - e^-a)^gamma a

    a_i and b_i are the two anchors of `nt_xent`, e^-a the probability of the partner; the factor has a gradient.

    Args:
        first, second, t, index, gathered: as in `nt_xent`.
        gamma: >= 0; 0 is `nt_xent`.

    Returns:
        (N,), float32 or wider; finite with its gradient as the probability goes to 0 or 1.

    Raises:
        ValueError: as in `nt_xent`, or a gamma < 0.

    Reference: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, eq. 4; on NT-Xent it is a baseline of Zhou
    et al., Combating Representation Learning Disparity with Geometric Harmonization, NeurIPS 2023 (gamma 2, t 0.2).
    """
    if not isinstance(gamma, Tensor) and not gamma >= 0:
        raise ValueError(f"gamma must be >= 0, got {gamma!r}; 0 is nt_xent")
    with full_precision(first):
        return modulated(_anchors(first, second, t, index, gathered), gamma).view(2, -1).mean(0)


def _anchors(first: Tensor, second: Tensor, t: Value, index: Tensor | None, gathered: Gathered | None) -> Tensor:
    """Return -log p of the partner of all anchors (2N,): the first views, then the second."""
    check_pair(first, second)
    check_temperature(t)
    z = unit(torch.cat([first, second]))
    anchors = torch.arange(len(z), device=z.device)
    partner = anchors.roll(len(first))
    candidates, excluded = z, anchors[:, None] == anchors
    if index is not None:
        check_ids("index", index, first)
        excluded = same_row(index.repeat(2), index.repeat(2)) & (partner[:, None] != anchors)
    if gathered is not None:
        others, ids = gathered_candidates(gathered, first, "index")
        if index is None:
            raise ValueError("gathered needs index, got None; pass the training rows (N,) of the batch")
        candidates = torch.cat([z, others])
        excluded = torch.cat([excluded, same_row(index.repeat(2), ids)], 1)
    similar = similarities(z, candidates, t).masked_fill(excluded, -torch.inf)
    return F.cross_entropy(similar, partner, reduction="none")


def gathered_candidates(gathered: Gathered, like: Tensor, what: str) -> tuple[Tensor, Tensor]:
    """Return both views of the other processes' examples as rows (2M, D) of length 1, and their integers (2M,)."""
    theirs, other, ids = gathered
    check_pair(theirs, other, ("gathered[0]", "gathered[1]"))
    check_width("gathered[0]", theirs, like)
    check_ids(f"gathered[2], {what},", ids, theirs)
    return unit(torch.cat([theirs, other])), ids.repeat(2)


def same_row(anchors: Tensor, candidates: Tensor) -> Tensor:
    """Return (A, C): whether a candidate has the anchor's integer."""
    return anchors[:, None] == candidates
