"""TERM: tilted empirical risk, over examples or over classes."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from longtail.facts.knobs import Knob, Range
from longtail.instance_weights.exponents import checked_value, exponents, widened
from longtail.instance_weights.weighting import InstanceWeighting, LossBatch

FINITE = Range(open_low=True, open_high=True)


@final
class TERM(InstanceWeighting):
    """Tilted empirical risk of the batch: the gradient of (1/t) log mean exp(t l).

    p_i = exp(t l_i) / mean_j exp(t l_j)

    By class, with R_c the mean loss of the batch's examples of class c and n_c their number:
    the gradient of (1/t) log((1/N) sum_c n_c exp(t R_c)),

    p_i = exp(t R_{y_i}) / mean_j exp(t R_{y_j})

    t > 0 weighs hard examples up, t < 0 down, t = 0 is the mean. TERM(t) is ABSGD(1/t, gamma=1).

    Args:
        t: the tilt, finite, or a schedule; the authors' code for label noise uses `linear(0, -2)`.
        by_class: tilt classes instead of examples; needs `targets`.
        within: with `by_class`, the tilt tau of the examples inside their class: R_c = (1/tau) log mean exp(tau l),
            0 for the mean. The hierarchical tilt of noisy and imbalanced data is TERM(10, True, within=-2).

    The authors' code for label noise leaves out the logarithm (the weights are not normalised), and tilts classes by
    their mean losses over the training set; here both are of the batch. Over processes (torch.distributed) the mean
    over examples is global; classes are tilted within each process.

    Li, Beirami, Sanjabi and Smith 2021, "Tilted empirical risk minimization" (ICLR).
    """

    def __init__(self, t: Knob, by_class: bool = False, *, within: float = 0.0) -> None:
        super().__init__()
        FINITE.check("t", t)
        FINITE.check("within", within)
        if within and not by_class:
            raise ValueError(f"within must be 0 where by_class is False, got {within}; pass by_class=True")
        self.t, self.by_class, self.within = t, by_class, within

    def weights(self, batch: LossBatch) -> Tensor:
        """Return weights whose mean over what is kept is 1."""
        t = checked_value(self.t, "t", batch.progress, FINITE)
        losses, kept = batch.losses, batch.kept
        wide = widened(losses)
        if not self.by_class:
            tilted = exponents(t * wide, kept)
            return tilted.divided_by(tilted.log_mean, losses)
        inside = wide.isfinite() if kept is None else wide.isfinite() & kept
        group = _groups(_class_indices(batch))
        risk, share = _risks(wide.flatten(), inside.flatten(), group, self.within)
        x = torch.where(inside, t * risk[group].reshape(losses.shape), 0.0)
        log_scale = torch.where(inside, x, -torch.inf).flatten().logsumexp(0) - inside.sum().to(x.dtype).log()
        p = torch.where(inside, (x - log_scale).exp() * share.reshape(losses.shape), 1.0)
        return p.to(torch.promote_types(losses.dtype, torch.float32))

    def extra_repr(self) -> str:
        """The knobs."""
        by_class = f", by_class=True, within={self.within!r}" if self.by_class else ""
        return f"t={self.t!r}{by_class}"


def _class_indices(batch: LossBatch) -> Tensor:
    targets, losses = batch.targets, batch.losses
    if targets is None:
        raise TypeError("TERM by class reads targets, got None; pass class indices shaped like the losses")
    if targets.shape != losses.shape or targets.is_floating_point():
        raise ValueError(
            f"targets must be class indices shaped like the losses {tuple(losses.shape)}, got {targets.dtype} of "
            f"shape {tuple(targets.shape)}; tilt by example, or pass targets.argmax(1)"
        )
    return targets.flatten()


def _groups(targets: Tensor) -> Tensor:
    """Number the classes of a batch 0, 1, ... in [0, N); the shape does not depend on how many there are."""
    ordered, order = targets.sort()
    rank = torch.zeros_like(order)
    rank[1:] = (ordered[1:] != ordered[:-1]).cumsum(0)
    return torch.empty_like(rank).scatter_(0, order, rank)


def _risks(losses: Tensor, inside: Tensor, group: Tensor, tilt: float) -> tuple[Tensor, Tensor]:
    """Return R_g of every group (N,), and each example's weight inside its group, of mean 1."""
    zero = torch.zeros_like(losses)
    size = zero.scatter_add(0, group, inside.to(losses.dtype)).clamp(min=1)
    if tilt == 0:
        return zero.scatter_add(0, group, torch.where(inside, losses, 0.0)) / size, torch.ones_like(losses)
    x = torch.where(inside, tilt * losses, -torch.inf)
    top = torch.full_like(x, -torch.inf).scatter_reduce(0, group, x, "amax")
    top = torch.where(top.isfinite(), top, 0.0)  # a group in which nothing counts
    e = (x - top[group]).exp()
    mean = zero.scatter_add(0, group, e) / size
    return (top + mean.log()) / tilt, e / mean[group]
