"""Schedules: knobs that change with progress.

A schedule maps progress p in [0, 1) (finished epochs / epochs of the stage) to a number. A knob is a float or
a schedule and is read by `at(knob, progress)`. Plain arithmetic on a float progress and `torch.where` on a
tensor, so that a compiled loss neither synchronises nor recompiles as progress changes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, is_dataclass
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from longtail.facts.messages import quoted


class Schedule(ABC):
    """progress -> value. Subclasses are frozen dataclasses whose repr is the spec string that builds them."""

    def __post_init__(self) -> None:
        for f in fields(self):  # type: ignore[arg-type]  # called by dataclasses alone
            name, value = f"{self._name}: {f.name}", getattr(self, f.name)
            if "tuple" in str(f.type):
                object.__setattr__(self, f.name, value := _numbers(name, value))
            for v in value if isinstance(value, tuple) else (value,):
                if "float" in str(f.type) or "int" in str(f.type):
                    _number(name, v)

    @property
    def _name(self) -> str:
        return type(self).__name__.lower()

    @abstractmethod
    def __call__(self, progress: float | Tensor) -> Any:
        """The value at `progress`: a float for a float, a 0-dim tensor for a tensor."""

    def values(self) -> tuple[float, ...]:
        """Return the values it is built from (its extremes), for range checks."""
        return tuple(getattr(self, f.name) for f in fields(self) if f.name not in ("at", "cycles"))  # type: ignore[arg-type]

    def __repr__(self) -> str:
        own = ", ".join(repr(getattr(self, f.name)) for f in fields(self)) if is_dataclass(self) else ""
        return f"{type(self).__name__.lower()}({own})"


def at(knob: float | Schedule, progress: float | Tensor | None, name: str = "knob") -> Any:
    """Return the value of a knob at this progress.

    A schedule without progress raises TypeError, naming the knob: deferred re-weighting is never silently on or off.
    """
    if not isinstance(knob, Schedule):
        return knob
    if progress is None:
        raise TypeError(f"{name} is the schedule {knob!r} and needs progress; pass progress=epoch / epochs")
    return knob(progress)


def _choose(progress: float | Tensor, threshold: float, before: Any, after: Any) -> Any:
    if isinstance(progress, Tensor):
        return torch.where(progress >= threshold, after, before)
    return after if progress >= threshold else before


def _cos(x: float | Tensor) -> Any:
    return torch.cos(x) if isinstance(x, Tensor) else math.cos(x)


@dataclass(frozen=True, repr=False)
class Constant(Schedule):
    """The same value at every progress."""

    value: float

    def __call__(self, progress: float | Tensor) -> Any:
        return torch.full_like(progress, self.value) if isinstance(progress, Tensor) else self.value


@dataclass(frozen=True, repr=False)
class Switch(Schedule):
    """`before` while p < at, `after` from p >= at on (deferred re-weighting: switch(0.8, 0, 1))."""

    at: float
    before: float
    after: float

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share("at", self.at)

    def __call__(self, progress: float | Tensor) -> Any:
        return _choose(progress, self.at, self.before, self.after)


@dataclass(frozen=True, repr=False)
class Linear(Schedule):
    """start + (end - start) p."""

    start: float
    end: float

    def __call__(self, progress: float | Tensor) -> Any:
        return self.start + (self.end - self.start) * progress


@dataclass(frozen=True, repr=False)
class Parabola(Linear):
    """start + (end - start) p^2."""

    def __call__(self, progress: float | Tensor) -> Any:
        return super().__call__(progress * progress)


@dataclass(frozen=True, repr=False)
class Cosine(Schedule):
    """Half a cosine from start (p = 0) to end (p = 1): end + (start - end)(1 + cos(pi p)) / 2."""

    start: float
    end: float = 0.0

    def __call__(self, progress: float | Tensor) -> Any:
        return self.end + (self.start - self.end) * (1 + _cos(math.pi * progress)) / 2


@dataclass(frozen=True, repr=False)
class Cycle(Schedule):
    """Whole cosine cycles between high (p = 0) and low: low + (high - low)(1 + cos(2 pi k p)) / 2.

    With k cycles over the stage this is the temperature schedule of Kukleva et al. 2023, eq. 3, with period
    T = E / k epochs.
    """

    low: float
    high: float
    cycles: float = 1.0

    def __call__(self, progress: float | Tensor) -> Any:
        return self.low + (self.high - self.low) * (1 + _cos(2 * math.pi * self.cycles * progress)) / 2


@dataclass(frozen=True, repr=False)
class Inverse(Schedule):
    """max(low, start (1 + rate p)^-power): Caffe's learning-rate policy "inv", over progress."""

    start: float
    rate: float
    power: float = 1.0
    low: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rate < 0 or self.power < 0:
            raise ValueError(
                f"inverse needs rate >= 0 and power >= 0, got {self.rate} and {self.power}; write inverse(1000, 1, 3)"
            )

    def __call__(self, progress: float | Tensor) -> Any:
        value = self.start * (1 + self.rate * progress) ** -self.power
        return value.clamp(min=self.low) if isinstance(value, Tensor) else max(self.low, value)

    def values(self) -> tuple[float, ...]:
        return (self(0.0), self(1.0))


@dataclass(frozen=True, repr=False)
class Steps(Schedule):
    """Piecewise constant: values[0] before at[0], values[i + 1] from at[i] on."""

    at: tuple[float, ...]
    levels: tuple[float, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.levels) != len(self.at) + 1:
            raise ValueError(
                f"steps needs one more level than switching points, got {len(self.levels)} levels for "
                f"{len(self.at)} points; write steps((0.8, 0.9), (1.0, 0.01, 0.0001))"
            )
        if list(self.at) != sorted(self.at):
            raise ValueError(f"steps: switching points must ascend, got {self.at}; sort them")
        for point in self.at:
            _check_share("at", point)

    def __call__(self, progress: float | Tensor) -> Any:
        value: Any = self.levels[0]
        for point, level in zip(self.at, self.levels[1:], strict=True):
            value = _choose(progress, point, value, level)
        return value

    def values(self) -> tuple[float, ...]:
        return self.levels


@dataclass(frozen=True, repr=False)
class Warmup(Schedule):
    """Linear warm-up of the first `epochs` of `total`: min(1, (e + 1) / epochs), e = p total."""

    epochs: int
    total: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epochs < 0 or self.total < 1:
            raise ValueError(
                f"warmup needs epochs >= 0 and total >= 1, got {self.epochs} and {self.total}; write warmup(5, 200)"
            )

    def __call__(self, progress: float | Tensor) -> Any:
        if self.epochs == 0:
            return torch.ones_like(progress) if isinstance(progress, Tensor) else 1.0
        ramp = (progress * self.total + 1) / self.epochs
        return ramp.clamp(max=1.0) if isinstance(ramp, Tensor) else min(1.0, ramp)

    def values(self) -> tuple[float, ...]:
        return (1.0 / max(self.epochs, 1), 1.0)


def _number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {quoted(value)}; schedules do not nest")
    try:
        if math.isnan(value):
            raise ValueError(f"{name} must be a number, got nan; write a number or inf")
    except OverflowError:
        raise ValueError(f"{name} must be a number, got an integer of a thousand digits; write inf") from None


def _numbers(name: str, values: Any) -> tuple[Any, ...]:
    if not isinstance(values, tuple | list):
        raise TypeError(f"{name} must be several numbers, got {quoted(values)}; write steps((0.8,), (1.0, 0.01))")
    return tuple(values)


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be in [0, 1], got {value!r}; it is a share of the stage, not an epoch")


constant, switch, linear, parabola, cosine = Constant, Switch, Linear, Parabola, Cosine
cycle, inverse, steps, warmup = Cycle, Inverse, Steps, Warmup
BY_NAME: dict[str, type[Schedule]] = {
    s.__name__.lower(): s for s in (Constant, Switch, Linear, Parabola, Cosine, Cycle, Inverse, Steps, Warmup)
}
"""Names of the schedules in spec strings."""
