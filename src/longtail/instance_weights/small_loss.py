"""Small-loss selection: only the examples with the smallest losses of a batch are learnt."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from longtail.facts.fixed_dtype import widest_float
from longtail.facts.knobs import Knob, Range
from longtail.instance_weights.exponents import checked_value
from longtail.instance_weights.weighting import InstanceWeighting, LossBatch

SHARE = Range(0, 1, open_low=True)


@final
class SmallLoss(InstanceWeighting):
    """Only the examples with the smallest losses count: label noise is learnt late.

    p_i = n / k for the k = max(1, floor(keep n)) smallest of the n kept losses, else 0: the mean over the selected.

    Args:
        keep: the share that is selected, in (0, 1], or a schedule; 1 is the mean, bit for bit. Co-teaching lets it
            fall from 1 to 1 - the noise rate over the first epochs.

    Of equal losses the first is selected. A NaN counts as large; the scalar is NaN even so. Each process
    selects within its own batch. Co-teaching weighs one network's losses by the other's:
    `p = w.weigh(losses_of_the_other)`, then `(p * losses).mean()`.

    Han et al. 2018, "Co-teaching: robust training of deep neural networks with extremely noisy labels" (NeurIPS).
    """

    def __init__(self, keep: Knob) -> None:
        super().__init__()
        SHARE.check("keep", keep)
        self.keep = keep

    def weights(self, batch: LossBatch) -> Tensor:
        """Return n / k for the selected losses, 0 for the others."""
        keep = checked_value(self.keep, "keep", batch.progress, SHARE)
        losses, kept = batch.losses, batch.kept
        flat = losses.flatten()
        n = torch.ones_like(flat, dtype=widest_float(flat.device)).sum()
        if kept is not None:
            n, flat = kept.sum().to(n.dtype), torch.where(kept.flatten(), flat, torch.inf)
        k = (keep * n + 1e-4).floor().clamp(min=1.0)  # 0.29 * 100 is below 29
        rank = flat.argsort(stable=True).argsort(stable=True)
        p = torch.where(rank < k, n / k, 0.0).reshape(losses.shape)
        return p.to(torch.promote_types(losses.dtype, torch.float32))

    def extra_repr(self) -> str:
        """The knob."""
        return f"keep={self.keep!r}"
