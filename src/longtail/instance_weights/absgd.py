"""ABSGD: weights that grow, or shrink, exponentially with the loss, over a moving average."""

from __future__ import annotations

import math
from typing import Any, final

import torch
from torch import Tensor

from longtail.facts.fixed_dtype import widest_float
from longtail.facts.knobs import Knob, Range
from longtail.facts.schedules import Schedule
from longtail.facts.types import Progress
from longtail.instance_weights.exponents import Exponents, checked_value, exponents, is_readable, widened
from longtail.instance_weights.ranges import ANY, GAMMA, START, WAY_OUT, check_lam
from longtail.instance_weights.weighting import InstanceWeighting, LossBatch

SAME = 1e-6
"""Values of lam this close, relatively, are equal: a schedule returns float32 for a tensor and float64 for a float."""


@final
class ABSGD(InstanceWeighting):
    """Attentional-biased SGD: the stochastic gradient of lam log E exp(l / lam).

    g = mean exp(l_i / lam)
    s <- (1 - gamma) s + gamma alpha g
    p_i = exp(l_i / lam) / s + uniform

    lam > 0 weighs hard examples up (class imbalance; the worst case over distributions near the data), lam < 0
    weighs them down (label noise; the best case). The smaller |lam|, the stronger; infinite lam is the plain mean,
    bit for bit, and does not change s. The weights are not divided by their sum.

    Args:
        lam: lambda, a number other than 0 or a schedule of such, read at `progress`; `switch(0.8, inf, 5.0)` trains
            plainly first. s restarts whenever lam changes, since it is the mean of another exponential then; a lam that
            moves smoothly so restarts it in every epoch. Calls with infinite lam in between do not count as a change.
        gamma: in (0, 1], the share of the new batch in s; 1 is the softmax of the batch. May be a schedule.
        init: where s starts, and starts again. "first": at the first batch's g. A number > 0: the paper's s_0, the
            value of s itself (a guess of E exp(l / lam)) before the first update. "zero": s_0 = 0, which makes the
            first weights 1 / (gamma alpha) times as large.
        alpha: > 0, multiplies the new batch's g; at rest all weights are divided by it.
        uniform: >= 0, added to every weight.
        accumulate: micro-batches per optimiser step. s moves with the last of them, by all their examples; the
            weights of each use the mean over those seen so far. `end_step` ends a step that had fewer.

    A call returns the finished scalar, mean(p l): go backward through it, and do not multiply it by losses again. The
    weights alone are `weigh(losses)`, and `last` after a call.

    All released code starts at zero: that of the experiments with alpha = 0.5 and gamma = 0.1 by default (for label
    noise also uniform = 1), the package with alpha = 1 and gamma = 0.9. It takes exponentials without care for their
    range and keeps s in the graph. Here the state is log s, in float64 where the device has it, so weights stay finite
    for any finite loss. A loss that is NaN or infinite is left out of s and weighs 1: the scalar is then not finite,
    the state is not spoiled. Losses in half precision give a float32 scalar.

    A loss far above the others has a lasting effect: with lam > 0 all weights stay near 0 until s has forgotten it,
    for about (l / lam) / -log(1 - gamma) calls.

    Where `holding`, s is updated by this batch for this call only. Over processes
    (torch.distributed), g is the mean over all their batches: every process must then call equally often.

    Qi, Xu, Yin, Jin and Yang 2023, "Attentional-biased stochastic gradient descent" (TMLR), algorithm 1.
    """

    log_s: Tensor
    of_lam: Tensor
    seen: Tensor
    count: Tensor
    micro: Tensor

    def __init__(
        self,
        lam: Knob,
        gamma: Knob = 0.5,
        *,
        init: str | float = "first",
        alpha: float = 1.0,
        uniform: float = 0.0,
        accumulate: int = 1,
    ) -> None:
        super().__init__()
        check_lam(lam)
        GAMMA.check("gamma", gamma)
        START.check("init", init)
        Range(0, open_low=True, open_high=True).check("alpha", alpha)
        Range(0, open_high=True).check("uniform", uniform)
        Range(1, open_high=True, integer=True).check("accumulate", accumulate)
        self.lam, self.gamma = lam, gamma
        self.init, self.alpha, self.uniform, self.accumulate = init, alpha, uniform, accumulate
        self._start = -math.inf if isinstance(init, str) else math.log(init)
        # of shape (1,): torch.compile loses what is written into a 0-dim float64 tensor
        for name, value in {
            "log_s": self._start,
            "of_lam": 0.0,  # the lam that s was made with; 0: not started
            "seen": -math.inf,  # log sum exp of this step's micro-batches so far,
            "count": 0.0,  # their examples
            "micro": 0.0,  # and how many they were
        }.items():
            self.register_buffer(name, torch.full((1,), value, dtype=widest_float(torch.get_default_device())))

    @property
    def s(self) -> Tensor:
        """The moving average exp(log_s); before it has started s_0, or 0. May exceed the range of float64."""
        return self.log_s[0].exp()

    def weights(self, batch: LossBatch) -> Tensor:
        """Update s, then return exp(l / lam) / s + uniform."""
        losses, progress = batch.losses, batch.progress
        lam, gamma = self._lam(progress), checked_value(self.gamma, "gamma", progress, GAMMA)
        if not isinstance(lam, Tensor) and abs(lam) == math.inf:
            return torch.ones_like(losses, dtype=torch.promote_types(losses.dtype, torch.float32))
        self._move_state(losses.device)
        scaled = exponents(widened(losses) / lam, batch.kept)
        log_s, state = self._updated(scaled, lam, gamma)
        p = scaled.divided_by(log_s, losses)
        if self.uniform:
            p = p + self.uniform
        if isinstance(lam, Tensor):  # reading its value would wait for the device
            finite = lam.isfinite()
            p = torch.where(finite, p, 1.0)
            state = {name: torch.where(finite, value, getattr(self, name)) for name, value in state.items()}
        if not self.holding:
            for name, value in state.items():
                getattr(self, name).copy_(value)
        return p

    @torch.no_grad()
    def end_step(self, progress: Progress | None = None) -> None:
        """Update s by the micro-batches seen, fewer than `accumulate`: for the short last step of an epoch."""
        gamma = checked_value(self.gamma, "gamma", progress, GAMMA)
        mean = self.seen - self.count.log()
        self.log_s.copy_(torch.where(self.count > 0, self._blended(self.log_s, mean, gamma), self.log_s))
        self.seen.fill_(-math.inf)
        self.count.zero_()
        self.micro.zero_()

    def _updated(
        self, batch: Exponents, lam: float | Tensor, gamma: float | Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return log s for the weights of this batch, and the state after it."""
        if torch.compiler.is_compiling():
            lam = torch.zeros_like(self.of_lam) + lam  # dynamo would compile again for a float that moves
        same = (self.of_lam - lam).abs() <= SAME * (lam.abs() if isinstance(lam, Tensor) else abs(lam))
        before = torch.where(same, self.log_s, self._start)
        state = {"of_lam": torch.where(same, self.of_lam, lam)}
        if self.accumulate == 1:
            log_s = self._blended(before, batch.log_mean, gamma)
            state["log_s"] = log_s = torch.where(batch.number > 0, log_s, before)
            return log_s, state
        seen = torch.logaddexp(torch.where(same, self.seen, -math.inf), batch.log_sum)
        count = torch.where(same, self.count, 0.0) + batch.number
        micro = torch.where(same, self.micro, 0.0) + 1
        log_s = torch.where(count > 0, self._blended(before, seen - count.log(), gamma), before)
        full = micro >= self.accumulate
        state["log_s"] = torch.where(full, log_s, before)
        state["seen"] = torch.where(full, -math.inf, seen)
        state["count"] = torch.where(full, 0.0, count)
        state["micro"] = torch.where(full, 0.0, micro)
        return log_s, state

    def _blended(self, before: Tensor, log_mean: Tensor, gamma: float | Tensor) -> Tensor:
        old, new = _log(1 - gamma, before), _log(gamma, before)
        added = log_mean + new if self.alpha == 1 else log_mean + new + math.log(self.alpha)
        log_s = torch.logaddexp(before + old, added)
        return torch.where(before > -math.inf, log_s, log_mean) if self.init == "first" else log_s

    def _lam(self, progress: Progress | None) -> float | Tensor:
        lam = checked_value(self.lam, "lam", progress, ANY)
        if is_readable(lam) and lam == 0:
            raise ValueError(f"lam must not be 0, got 0 from {self.lam!r} at progress {progress}; {WAY_OUT}")
        return lam

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        sign = state_dict.pop(f"{prefix}sign", None)  # states of older versions hold the sign alone
        if sign is not None and f"{prefix}of_lam" not in state_dict:
            state_dict[f"{prefix}of_lam"] = sign * abs(self._only_lam(float(sign)))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _only_lam(self, sign: float) -> float:
        """Return the lam that an s of this sign must have been computed with.

        Raises:
            ValueError: there are several, or none.
        """
        values = self.lam.values() if isinstance(self.lam, Schedule) else (self.lam,)
        possible = {float(v) for v in values if math.isfinite(v) and v * sign > 0}
        if sign and len(possible) != 1:
            raise ValueError(
                f"state_dict must hold the lam of its moving average, got none, which {self.lam!r} does not determine; "
                "this state is of an older version: begin the stage anew"
            )
        return possible.pop() if sign else 0.0

    def extra_repr(self) -> str:
        """The knobs, those beyond lam and gamma where they differ from their defaults."""
        more = {"init": "first", "alpha": 1.0, "uniform": 0.0, "accumulate": 1}
        shown = [f"{name}={getattr(self, name)!r}" for name, usual in more.items() if getattr(self, name) != usual]
        return ", ".join([f"lam={self.lam!r}", f"gamma={self.gamma!r}", *shown])


def _log(share: float | Tensor, like: Tensor) -> float | Tensor:
    if torch.compiler.is_compiling():
        share = torch.zeros_like(like) + share  # dynamo cannot take the logarithm of a float that moves
    if isinstance(share, Tensor):
        return share.log()
    return math.log(share) if share > 0 else -math.inf
