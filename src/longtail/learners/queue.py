"""MoCo's host: a ring of the keys of earlier batches, which are the negatives."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtail.facts.knobs import Knob, Range
from longtail.facts.types import Batch, Progress, Step
from longtail.functional import info_nce
from longtail.functional.info_nce import EMPTY
from longtail.learners.pair import Compared


@final
class MoCo(nn.Module):
    """MoCo: the first view must find the average's key of the second one among the keys of a queue.

    l_i = -log( exp(s(q_i, k_i) / t) / (exp(s(q_i, k_i) / t) + sum_n exp(s(q_i, n) / t)) ), `functional.info_nce`

    n are the keys in the queue but those of row i itself, so that there may be fewer rows than places. It begins empty,
    and so the losses of the first step are 0. After every update the batch's keys take the places of the oldest ones,
    over the seam too; of a batch larger than the queue the last keys.

    Args:
        places: M > 0.
        dim: P, width of the projections.
        t: temperature > 0, scheduled or not.
        momentum: of the average, in [0, 1], scheduled or not.

    Buffers: `keys` (M, P), of length 1; `rows` (M,), the training row of each, negative where the place is empty;
    `next` (0-dim), the place that is written next.

    Raises:
        ValueError: places or dim < 1.
    """

    symmetric = False
    keys: Tensor
    rows: Tensor
    next: Tensor

    def __init__(self, places: int, dim: int, t: Knob = 0.2, momentum: Knob = 0.99) -> None:
        super().__init__()
        for name, value in (("places", places), ("dim", dim)):
            Range(1, integer=True).check(name, value)
        self.t, self.momentum = t, momentum
        self.register_buffer("keys", torch.zeros(places, dim))
        self.register_buffer("rows", torch.full((places,), EMPTY))
        self.register_buffer("next", torch.tensor(0))

    def forward(self, compared: Compared, batch: Batch, t: Progress, progress: Progress) -> Tensor:
        """Return the losses (B,)."""
        return info_nce(
            compared.first.logits,
            compared.other.logits,
            t,
            index=batch["index"],
            queue=self.keys,
            queue_index=self.rows,
        )

    def settled(self) -> Tensor:
        """Whether the queue is full (0-dim, bool), so that losses are of the same number of places."""
        return (self.rows != EMPTY).all()

    @torch.no_grad()
    def after_update(self, batch: Batch, step: Step, progress: Progress) -> None:
        """Put the keys of a step into the queue."""
        assert step.outputs is not None
        size, count = len(self.rows), len(batch["index"])
        keys, rows = step.outputs.extra["keys"][-size:], batch["index"][-size:]
        # in a batch larger than the queue, the keys before the last M would be overwritten at once
        offset = torch.arange(max(count - size, 0), count, device=self.rows.device)
        places = (self.next + offset) % size
        self.keys.index_copy_(0, places, F.normalize(keys.to(self.keys.dtype), dim=1))
        self.rows.index_copy_(0, places, rows)
        self.next.copy_((self.next + count) % size)
