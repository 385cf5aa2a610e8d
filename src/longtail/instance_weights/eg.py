"""EG: weights of examples updated by exponentiated gradients."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from longtail.facts.fixed_dtype import widest_float
from longtail.facts.knobs import Knob, Range
from longtail.instance_weights.exponents import checked_value, exponents, processes, widened
from longtail.instance_weights.ranges import POSITIVE, check_tau
from longtail.instance_weights.weighting import InstanceWeighting, LossBatch


@final
class EG(InstanceWeighting):
    """Exponentiated gradients: examples with large losses lose weight (label noise).

    v_i <- v_i^memory exp(-l_i / tau), p_i = N v_i / sum_j v_j over the batch

    Each visit multiplies an example's weight; the sums run over the batch, so that examples with equally many
    visits are compared. Without memory v_i = exp(-l_i / tau): the softmax of the batch, that is TERM(-1 / tau) and
    ABSGD(-tau, gamma=1). The paper's step size is 1 / tau.

    Args:
        tau: > 0, or a schedule; infinite is the plain mean, bit for bit, and changes no v: `switch(0.667, inf, 1.0)`
            trains plainly first.
        persistent: keep v from visit to visit; needs `index`.
        size: how many rows the training set has, where persistent.
        memory: in [0, 1], the exponent of the old weight: 1 remembers all visits, 0 none. The weights of examples
            whose losses differ steadily part exponentially, unless memory < 1 bounds their ratio.

    The authors released no code; how they regularise and schedule is not reproduced. Persistent weights are of one
    process (torch.distributed is refused): a row's history would stay on the process that saw it.

    Majidi, Amid, Talebi and Warmuth 2021, "Exponentiated gradient reweighting for robust training under label noise
    and beyond"; without memory as in Qi et al. 2023.
    """

    log_v: Tensor | None

    def __init__(self, tau: Knob, persistent: bool = False, *, size: int | None = None, memory: float = 1.0) -> None:
        super().__init__()
        check_tau(tau)
        Range(0, 1).check("memory", memory)
        if persistent and size is None:
            raise ValueError("size must be given where persistent, got None; pass size=len(training set)")
        if size is not None:
            Range(1, open_high=True, integer=True).check("size", size)
        self.tau, self.persistent, self.memory = tau, persistent, memory
        rows = torch.zeros(size, dtype=widest_float(torch.get_default_device())) if persistent and size else None
        self.register_buffer("log_v", rows)

    def weights(self, batch: LossBatch) -> Tensor:
        """Return weights whose mean over what is kept is 1."""
        losses, tau = batch.losses, checked_value(self.tau, "tau", batch.progress, POSITIVE)
        index = None if self.log_v is None else self._rows(batch)
        if not isinstance(tau, Tensor) and tau == math.inf:
            return torch.ones_like(losses, dtype=torch.promote_types(losses.dtype, torch.float32))
        x, kept = -widened(losses) / tau, batch.kept
        finite = tau.isfinite() if isinstance(tau, Tensor) else None  # reading its value would wait for the device
        if index is not None:
            counts = x.isfinite() if kept is None else x.isfinite() & kept
            x = self._updated(x, counts if finite is None else counts & finite, index)
        v = exponents(x, kept)
        p = v.divided_by(v.log_mean, losses)
        return p if finite is None else torch.where(finite, p, 1.0)

    def _updated(self, step: Tensor, counts: Tensor, index: Tensor) -> Tensor:
        """Return log v of these rows after the steps that count; a row that is drawn twice takes two."""
        self._move_state(step.device)
        assert self.log_v is not None
        log_v = self.log_v.clone() if self.holding else self.log_v
        forget = torch.where(counts & _first(torch.where(counts, index, -1)), self.memory - 1, 0.0)
        log_v.index_add_(0, index, forget * log_v[index])
        log_v.index_add_(0, index, torch.where(counts, step, 0.0))
        return torch.where(counts, log_v[index], step)

    def _rows(self, batch: LossBatch) -> Tensor:
        assert self.log_v is not None
        index, losses = batch.index, batch.losses
        if index is None:
            raise TypeError("EG with memory reads index, got None; pass the examples' rows in the training set")
        if losses.ndim != 1 or index.shape != losses.shape:
            raise ValueError(
                f"index must be one row per loss, got {tuple(index.shape)} for losses of shape {tuple(losses.shape)}; "
                "dense losses have no memory: use persistent=False"
            )
        if processes() > 1:
            raise ValueError(
                f"persistent weights must live in one process, got {processes()}; use EG(tau) without persistent"
            )
        if index.device.type == "cpu" and not torch.compiler.is_compiling():  # elsewhere the device would wait
            outside = (index < 0) | (index >= len(self.log_v))
            if bool(outside.any()):
                raise ValueError(
                    f"index must be in [0, {len(self.log_v)}), got {int(index[outside][0])}; "
                    "size is the number of rows of the training set"
                )
        return index

    def extra_repr(self) -> str:
        """The knobs."""
        rows = "" if self.log_v is None else f", persistent=True, size={len(self.log_v)}, memory={self.memory!r}"
        return f"tau={self.tau!r}{rows}"


def _first(rows: Tensor) -> Tensor:
    """Whether each is the first of its value, since the memory of a row that is drawn twice decays once."""
    ordered, order = rows.sort(stable=True)
    first = torch.ones_like(ordered, dtype=torch.bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return torch.empty_like(first).scatter_(0, order, first)
