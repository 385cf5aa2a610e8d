"""Sums of exponentials in the log domain, over the whole batch of all processes."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from longtail.facts import checks
from longtail.facts.fixed_dtype import widest_float
from longtail.facts.knobs import Range
from longtail.facts.schedules import Schedule, at
from longtail.facts.types import Progress


class Exponents(NamedTuple):
    """Exponents x with `log_sum` = log sum_i exp(x_i) over those that count, and their `number`, both 0-dim.

    `inside`: which of them count, shaped like x.
    """

    x: Tensor
    inside: Tensor
    log_sum: Tensor
    number: Tensor

    @property
    def log_mean(self) -> Tensor:
        """log mean exp(x); NaN where nothing counts."""
        return self.log_sum - self.number.log()

    def divided_by(self, log_scale: Tensor, like: Tensor) -> Tensor:
        """Return exp(x - log_scale) in the dtype of `like`, float32 at least.

        1 where a loss is not finite, so that the weighted scalar is not finite either, and 1 where nothing counts.
        """
        p = torch.where(self.inside, (self.x - log_scale).exp(), 1.0)
        return p.to(torch.promote_types(like.dtype, torch.float32))


def exponents(x: Tensor, kept: Tensor | None) -> Exponents:
    """Sum exp(x), x of the widest dtype; what is not kept or not finite does not count."""
    inside = x.abs() < torch.inf  # finite, in two kernels rather than four
    if kept is not None:
        inside = inside & kept
    x = torch.where(inside, x, -torch.inf)
    return Exponents(x, inside, *_over_processes(x.flatten().logsumexp(0), inside.sum(dtype=x.dtype)))


def widened(values: Tensor) -> Tensor:
    """Return values in float64, where the device has it."""
    return values.to(widest_float(values.device))


def checked_value(knob: float | Schedule, name: str, progress: Progress | None, rule: Range) -> float | Tensor:
    """Return the value of a knob at this progress, checked (a tensor in strict mode alone: reading it waits)."""
    if isinstance(knob, Schedule) and isinstance(progress, int | float) and not 0 <= progress <= 1:
        raise ValueError(f"progress must be in [0, 1], got {progress}; pass epoch / epochs, not the epoch")
    value: float | Tensor = at(knob, progress, name)
    if isinstance(knob, Schedule) and is_readable(value):
        rule.check(name, float(value))
    return widened(value) if isinstance(value, Tensor) else value


def is_readable(value: float | Tensor) -> bool:
    """Whether the value of a knob can be read here: no tracing, and no tensor outside strict mode."""
    return not torch.compiler.is_compiling() and (not isinstance(value, Tensor) or checks.is_strict())


def processes() -> int:
    """Return how many processes share a batch; 1 where torch.distributed is not set up."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def _over_processes(log_sum: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    if processes() == 1:
        return log_sum, count
    own = torch.stack([log_sum, count])
    # one collective; gathered and summed in one order, so every process gets the same bits
    parts = [torch.empty_like(own) for _ in range(processes())]
    dist.all_gather(parts, own)
    together = torch.stack(parts)
    return together[:, 0].logsumexp(0), together[:, 1].sum()
