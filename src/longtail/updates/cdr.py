"""CDR: only the parameters that matter most to the batch's loss follow its gradient; the others only decay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor

from longtail.facts.fixed_dtype import widest_float
from longtail.facts.knobs import Choice, Knob, Range
from longtail.facts.learner import Learner
from longtail.facts.schedules import at
from longtail.facts.types import Batch, Progress, Step
from longtail.functional.selection import ROUNDING
from longtail.updates.descend import StatelessUpdate
from longtail.updates.passes import backward

RATE = Range(0, 1, open_high=True)
DECAY = Choice(("optimizer", "sign"))


@final
class CDR(StatelessUpdate):
    """Descend with the gradient of the critical parameters alone, those with the largest |w g|.

    critical: the max(1, floor((1 - r) m)) largest |w g| of the m numbers in all weights, ranked together;
    g <- (1 - r) g where critical, 0 elsewhere, then the optimiser's step

    Weights are the parameters of two dimensions or more (linear, convolution, embedding) that have a gradient. Biases
    and the factors of norms take the plain step. Ties with the smallest critical value are critical, too. One forward
    and one backward pass, so that batch norms record a batch once. r = 0 is the plain step, bit for bit, but for
    a decay of sign type.

    Args:
        rate: r in [0, 1), the share of wrong labels; a number or a schedule.
        scaled: whether the gradient that is kept is multiplied by 1 - r.
        decay: "optimizer": the optimiser's own step, so that its momentum and its weight decay move the other
            parameters, too, as in the released code. "sign": w <- w - lr weight_decay sign(w) for all parameters in
            place of the optimiser's own decay, and nothing else moves the other ones, as in the paper.

    Reference: Xia et al., Robust early-learning: hindering the memorization of noisy labels, ICLR 2021.
    """

    def __init__(self, rate: Knob = 0.2, *, scaled: bool = True, decay: str = "optimizer") -> None:
        RATE.check("rate", rate)
        DECAY.check("decay", decay)
        self.rate, self.scaled, self.decay = rate, scaled, decay

    def __call__(
        self, learner: Learner, batch: Batch | Sequence[Batch], optimizer: torch.optim.Optimizer, progress: Progress
    ) -> Step:
        """Make one optimiser step and return what the learner computed for it."""
        optimizer.zero_grad(set_to_none=True)
        step = backward(learner, batch, progress)
        kept = 1 - at(self.rate, progress, "rate")
        groups = optimizer.param_groups
        weights = [p for group in groups for p in group["params"] if p.grad is not None and p.ndim > 1]
        masks = critical([p.detach() for p in weights], [p.grad for p in weights], kept)
        for p, mask in zip(weights, masks, strict=True):
            # a product: a gradient that overflowed stays NaN or infinite for who looks for it
            p.grad.mul_(mask * kept if self.scaled else mask)
        if self.decay == "sign":
            _sign_step(optimizer, {id(p): mask for p, mask in zip(weights, masks, strict=True)})
        else:
            optimizer.step()
        return step


@torch.no_grad()
def critical(weights: Sequence[Tensor], gradients: Sequence[Tensor], share: float | Tensor) -> list[Tensor]:
    """Return which numbers of the weights are critical: the share of them with the largest |w g|, of all together.

    Args:
        weights, gradients: of the same shapes.
        share: in (0, 1], a number or 0-dim; max(1, floor(share m)) of the m numbers.

    Returns:
        1 or 0 for each, in the dtype of the weight.
    """
    if not weights:
        return []
    criterion = [(w * g).abs() for w, g in zip(weights, gradients, strict=True)]
    least = _largest(torch.cat([c.flatten() for c in criterion]), share)
    return [(c >= least).to(w.dtype) for c, w in zip(criterion, weights, strict=True)]


def _largest(values: Tensor, share: float | Tensor) -> Tensor:
    """Return the smallest of the max(1, floor(share m)) largest values (m,), 0-dim."""
    m = len(values)
    if isinstance(share, Tensor):  # of a schedule in a step that may be captured: nothing waits for it
        number = (share.to(widest_float(values.device)) * m + ROUNDING).floor().clamp(min=1)
        return values.sort().values.index_select(0, (m - number).long().reshape(1))[0]
    place = m - max(1, int(share * m + ROUNDING))
    if values.device.type == "cpu":  # a GPU's has no deterministic implementation
        return values.kthvalue(place + 1).values
    return values.sort().values[place]


@torch.no_grad()
def _sign_step(optimizer: torch.optim.Optimizer, masks: dict[int, Tensor]) -> None:
    """Make the optimiser's step with weight decay of sign type; what has mask 0 only decays.

    Nothing changes where a gradient is not finite: such a step is one that the optimiser leaves out.
    """
    groups: Any = optimizer.param_groups
    moved = [(p, group) for group in groups for p in group["params"] if p.grad is not None]
    if not moved:
        return
    finite = torch.stack([p.grad.isfinite().all() for p, _ in moved]).all()
    before = [p.detach().clone() for p, _ in moved]
    decays = [group.get("weight_decay", 0.0) for group in groups]
    try:
        for group in groups:
            group["weight_decay"] = 0.0
        optimizer.step()
    finally:
        for group, decay in zip(groups, decays, strict=True):
            group["weight_decay"] = decay
    for (p, group), w in zip(moved, before, strict=True):
        start = torch.where(masks[id(p)] > 0, p, w) if id(p) in masks else p
        decayed = start - w.sign() * (group["lr"] * group.get("weight_decay", 0.0))
        p.copy_(torch.where(finite, decayed, w))
    torch.clear_autocast_cache()  # of an autocast around the step: it has the parameters' copies from before
