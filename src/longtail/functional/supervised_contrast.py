"""SupCon: rows of the same class attract each other, in two views. Per example, not reduced."""

from __future__ import annotations

import torch
from torch import Tensor

from longtail.functional.contrast import Gathered, gathered_candidates, same_row
from longtail.functional.mixtures import Value
from longtail.functional.similarity import check_ids, check_pair, check_temperature, full_precision, similarities, unit


def supervised_contrast(
    first: Tensor,
    second: Tensor,
    targets: Tensor,
    t: Value = 0.1,
    *,
    base_t: Value | None = None,
    gathered: Gathered | None = None,
) -> Tensor:
    """SupCon, the form with the mean outside of the logarithm (L_out).

    l_i = (a_i + b_i) / 2,   a_i = -f / |P(i)| sum_{p in P(i)} log( exp(s_ip / t) / sum_{k != i} exp(s_ik / t) )

    s are cosines of the 2N projections. P(i): all other projections of the anchor's class, its partner among them; they
    are in the denominator, too, the anchor itself is not. Where every example has a class of its own it is NT-Xent.
    With m positives the loss is at least log m: values near log(number of positives) are no failure.

    Args:
        first, second: projections of the two views (N, D), not normalised.
        targets: classes (N,). An example with a negative class, such as -100, has its partner as the only positive.
        t: temperature > 0, a float or a 0-dim tensor.
        base_t: None for a factor f of 1, as in the paper, else f = t / base_t; the released code has base_t = 0.07, so
            that t = 0.1 has 1.43 times the loss and gradient.
        gathered: (first (M, D), second (M, D), targets (M,)) of other processes: further candidates, positive where the
            class is the anchor's; they are no anchors.

    Returns:
        (N,), float32 or wider; 0 for a single example without `gathered`.

    Raises:
        ValueError: shapes that do not fit, or a temperature <= 0.

    Reference: Khosla et al., Supervised Contrastive Learning, NeurIPS 2020, eq. 2.
    """
    check_pair(first, second)
    check_temperature(t)
    check_ids("targets", targets, first)
    if base_t is not None:
        check_temperature(base_t, "base_t")
    with full_precision(first):
        each = _anchors(first, second, targets, t, gathered)
        return (each if base_t is None else each * (t / base_t)).view(2, -1).mean(0)


def _anchors(first: Tensor, second: Tensor, targets: Tensor, t: Value, gathered: Gathered | None) -> Tensor:
    """Return the mean of -log p over the positives of all anchors (2N,): the first views, then the second."""
    z = unit(torch.cat([first, second]))
    anchors, classes = torch.arange(len(z), device=z.device), targets.repeat(2)
    known = (classes >= 0)[:, None]
    partner = anchors.roll(len(first))[:, None] == anchors
    excluded = anchors[:, None] == anchors
    positive = partner | (same_row(classes, classes) & known & ~excluded)
    candidates = z
    if gathered is not None:
        others, theirs = gathered_candidates(gathered, first, "targets")
        candidates = torch.cat([z, others])
        positive = torch.cat([positive, same_row(classes, theirs) & known], 1)
        excluded = torch.cat([excluded, excluded.new_zeros(len(z), len(others))], 1)
    log_p = similarities(z, candidates, t).masked_fill(excluded, -torch.inf).log_softmax(1)
    # -inf x 0 is no number, so what is not positive is replaced
    return -torch.where(positive, log_p, 0.0).sum(1) / positive.sum(1)
