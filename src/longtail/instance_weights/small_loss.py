"""Small-loss selection: only the examples with the smallest losses of a batch are learnt."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from longtail.facts.fixed_dtype import widest_float
from longtail.facts.knobs import Knob, Range
from longtail.functional.selection import smallest_share
from longtail.instance_weights.exponents import checked_value
from longtail.instance_weights.weighting import InstanceWeighting, LossBatch

SHARE = Range(0, 1, open_low=True)


@final
class SmallLoss(InstanceWeighting):
    """Only the examples with the smallest losses count: label noise is learnt late.

    p_i = n / k for the k = max(1, floor(keep n)) smallest of the n kept losses, else 0: the mean over the selected.
    by_class: of the n_j kept losses of each class the max(1, ceil(keep n_j)) smallest.

    Args:
        keep: the share that is selected, in (0, 1], or a schedule; 1 is the mean, bit for bit. Co-teaching lets it
            fall from 1 to 1 - the noise rate over the first epochs (`functional.forget_rate`).
        by_class: whether the losses of each class are ranked by themselves, so that no class of the batch is left
            out; needs `targets`.

    Of equal losses the first is selected. A NaN counts as large; the scalar is NaN even so. Each process
    selects within its own batch. Co-teaching weighs one network's losses by the other's:
    `p = w.weigh(losses_of_the_other)`, then `(p * losses).mean()`.

    Han et al. 2018, "Co-teaching: robust training of deep neural networks with extremely noisy labels" (NeurIPS).
    """

    def __init__(self, keep: Knob, *, by_class: bool = False) -> None:
        super().__init__()
        SHARE.check("keep", keep)
        self.keep, self.by_class = keep, by_class

    def weights(self, batch: LossBatch) -> Tensor:
        """Return n / k for the selected losses, 0 for the others."""
        keep = checked_value(self.keep, "keep", batch.progress, SHARE)
        losses = batch.losses
        kept = None if batch.kept is None else batch.kept.flatten()
        chosen = smallest_share(losses.flatten(), keep, labels=self._labels(batch), kept=kept)
        wide = widest_float(losses.device)
        n = (torch.ones_like(chosen) if kept is None else kept).sum().to(wide)
        p = torch.where(chosen, n / chosen.sum().clamp(min=1).to(wide), 0.0).reshape(losses.shape)
        return p.to(torch.promote_types(losses.dtype, torch.float32))

    def _labels(self, batch: LossBatch) -> Tensor | None:
        if not self.by_class:
            return None
        targets = batch.targets
        if targets is None or targets.shape != batch.losses.shape or targets.is_floating_point():
            got = "none" if targets is None else f"{targets.dtype} of shape {tuple(targets.shape)}"
            raise ValueError(f"targets must be class indices, one per loss, where by_class, got {got}; pass targets=")
        return targets.long().flatten()

    def extra_repr(self) -> str:
        """The knobs."""
        return f"keep={self.keep!r}{', by_class=True' if self.by_class else ''}"
