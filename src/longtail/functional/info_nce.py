"""InfoNCE of queries and keys, against the batch or a queue; MoCLR; the negative cosine. Per example, not reduced."""

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

EMPTY = -1
"""The training row of a place of a queue that nothing has been put in."""
Keys = tuple[Tensor, Tensor]
"""Of other processes: their keys (M, D) and the training row of each (M,)."""


def info_nce(
    queries: Tensor,
    keys: Tensor,
    t: Value = 0.2,
    *,
    index: Tensor | None = None,
    queue: Tensor | None = None,
    queue_index: Tensor | None = None,
    gathered: Keys | None = None,
) -> Tensor:
    """InfoNCE: each query must find its own key among negatives, which are the other keys or those of a queue.

    l_i = -log( exp(s(q_i, k_i) / t) / (exp(s(q_i, k_i) / t) + sum_n exp(s(q_i, n) / t)) )

    s is the cosine. n: without a queue the N - 1 other keys of the batch (MoCLR), never queries; with one its M keys
    and no others (MoCo). Nothing is detached here: that keys have no gradient is the caller's choice. By log-softmax.

    Args:
        queries, keys: q and k (N, D) of the same examples, not normalised.
        t: temperature > 0, a float or a 0-dim tensor.
        index: the training row of each example (N,): a candidate of the same row is no negative. With a queue it
            needs `queue_index`.
        queue: (M, D), not normalised, older keys; M may be 0.
        queue_index: the training row of each place (M,); a place with a negative index is empty and left out. So a
            queue may have more places than there are rows, and need not be full.
        gathered: (keys (M, D), index (M,)) of other processes: further candidates in a batch, under the rule of
            `index`, which is then needed. Not with a queue, whose places already hold the keys of all processes.

    Returns:
        (N,), float32 or wider; 0 for an example without negatives.

    Raises:
        ValueError: shapes that do not fit, a temperature <= 0, or an argument without the one it needs.

    Reference: van den Oord et al., Representation Learning with Contrastive Predictive Coding, 2018, eq. 4; He et al.,
    Momentum Contrast, CVPR 2020, eq. 1 (queue); Tian et al., Divide and Contrast, ICCV 2021 (batch).
    """
    check_pair(queries, keys, ("queries", "keys"))
    check_temperature(t)
    if index is not None:
        check_ids("index", index, queries)
    if queue is not None and gathered is not None:
        raise ValueError("gathered must be None with a queue, got both; put the gathered keys into the queue")
    if queue is None and queue_index is not None:
        raise ValueError("queue_index needs queue, got None; pass the keys (M, D) that it describes")
    with full_precision(queries):
        q, k = unit(queries), unit(keys)
        if queue is not None:
            return _against_queue(q, k, t, queue, index, queue_index)
        return _against_batch(q, k, t, index, gathered)


def _against_batch(q: Tensor, k: Tensor, t: Value, index: Tensor | None, gathered: Keys | None) -> Tensor:
    own = torch.arange(len(q), device=q.device)
    excluded = None if index is None else (index[:, None] == index) & (own[:, None] != own)
    if gathered is not None:
        others, ids = gathered
        check_width("gathered[0]", others, q)
        check_ids("gathered[1], index,", ids, others)
        if index is None or excluded is None:
            raise ValueError("gathered needs index, got None; pass the training rows (N,) of the batch")
        k = torch.cat([k, unit(others)])
        excluded = torch.cat([excluded, index[:, None] == ids], 1)
    similar = similarities(q, k, t)
    if excluded is not None:
        similar = similar.masked_fill(excluded, -torch.inf)
    return F.cross_entropy(similar, own, reduction="none")


def _against_queue(
    q: Tensor, k: Tensor, t: Value, queue: Tensor, index: Tensor | None, queue_index: Tensor | None
) -> Tensor:
    check_width("queue", queue, q)
    negative = similarities(q, unit(queue), t)
    if queue_index is not None:
        check_ids("queue_index", queue_index, queue)
        empty = queue_index < 0
        negative = negative.masked_fill(empty if index is None else empty | (index[:, None] == queue_index), -torch.inf)
    elif index is not None:
        raise ValueError("index needs queue_index with a queue, got None; pass the training row of each place (M,)")
    similar = torch.cat([((q * k).sum(1) / t)[:, None], negative], 1)
    return F.cross_entropy(similar, torch.zeros(len(q), dtype=torch.int64, device=q.device), reduction="none")


def moclr(
    online: tuple[Tensor, Tensor],
    momentum: tuple[Tensor, Tensor],
    t: Value = 0.2,
    *,
    index: Tensor | None = None,
    gathered: tuple[Tensor, Tensor, Tensor] | None = None,
) -> Tensor:
    """MoCLR: InfoNCE of the online network's view against the momentum network's other view, both ways, summed.

    l_i = info_nce(q1, k2)_i + info_nce(q2, k1)_i: the sum of the two directions, not their mean.

    Args:
        online: projections q1 and q2 (N, D) of the two views by the network that is trained.
        momentum: projections k1 and k2 (N, D) by its moving average; detach them.
        t, index: as in `info_nce`.
        gathered: (k1 (M, D), k2 (M, D), index (M,)) of other processes.

    Returns:
        (N,), float32 or wider.

    Reference: Tian et al., Divide and Contrast, ICCV 2021. The text read states no temperature; 0.2 is our
    choice.
    """
    (q1, q2), (k1, k2) = online, momentum
    theirs = (None, None) if gathered is None else ((gathered[1], gathered[2]), (gathered[0], gathered[2]))
    first = info_nce(q1, k2, t, index=index, gathered=theirs[0])
    return first + info_nce(q2, k1, t, index=index, gathered=theirs[1])


def negative_cosine(predicted: Tensor, target: Tensor) -> Tensor:
    """The negative cosine of a prediction and its target: l_i = -(p_i . z_i) / (|p_i| |z_i|).

    SimSiam's loss is the mean of the two directions, (l(p1, z2) + l(p2, z1)) / 2. BYOL's squared distance of rows of
    length 1 is 2 - 2 cos = 2 + 2 l for each direction, summed: the same gradient, four times as long. Nothing is
    detached here: both methods detach the target, without which the constant is the optimum.

    Args:
        predicted: p (N, D), not normalised.
        target: z (N, D), not normalised.

    Returns:
        (N,) in [-1, 1], float32 or wider; 0 where a row is 0.

    Raises:
        ValueError: shapes that differ.

    Reference: Chen and He, Exploring Simple Siamese Representation Learning, CVPR 2021, eq. 1; Grill et al., Bootstrap
    Your Own Latent, NeurIPS 2020, eq. 2.
    """
    check_pair(predicted, target, ("predicted", "target"))
    with full_precision(predicted):
        return -(unit(predicted) * unit(target)).sum(1)
