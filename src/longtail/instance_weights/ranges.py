"""The ranges of the knobs of ABSGD and EG."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

from longtail.facts.knobs import Choice, Knob, Range
from longtail.facts.schedules import Cosine, Cycle, Linear, Schedule, Warmup

ANY, GAMMA = Range(), Range(0, 1, open_low=True)
POSITIVE = Range(0, open_low=True)
SMOOTH = Linear | Cosine | Cycle | Warmup
"""Schedules that pass through all values between their extremes."""


@dataclass(frozen=True)
class Start(Choice):
    """Where s starts: "first", "zero", or a number > 0."""

    words: tuple[str, ...] = ("first", "zero")

    def __str__(self) -> str:
        return '"first", "zero" or a number > 0'

    def check(self, name: str, value: Any) -> None:
        """Raise ValueError or TypeError naming the knob where the value breaks the rule."""
        if isinstance(value, str) or not isinstance(value, Real):
            super().check(name, value)
        elif isinstance(value, bool) or not 0 < float(value) < math.inf:
            raise ValueError(f'{name} must be {self}, got {value!r}; it is s before the first batch, "zero" is 0')


START = Start()
WAY_OUT = "lam > 0 for class imbalance, lam < 0 for label noise, infinite for the plain mean"


def check_lam(lam: Knob) -> None:
    """Raise ValueError or TypeError where lambda is, or would become, 0, or moves where it must jump."""
    ANY.check("lam", lam)
    values = [float(v) for v in (lam.values() if isinstance(lam, Schedule) else (lam,))]
    if 0 in values:
        raise ValueError(f"lam must not be 0, got {lam!r}; {WAY_OUT}")
    _check_jumps("lam", lam, values)
    if isinstance(lam, SMOOTH) and min(values) < 0 < max(values):
        raise ValueError(f"lam must not pass through 0, got {lam!r}; jump over it with switch or steps")


def check_tau(tau: Knob) -> None:
    """Raise ValueError or TypeError where tau is, or would become, 0 or less, or moves where it must jump."""
    POSITIVE.check("tau", tau)
    _check_jumps("tau", tau, [float(v) for v in tau.values()] if isinstance(tau, Schedule) else [])


def _check_jumps(name: str, knob: Knob, values: list[float]) -> None:
    if isinstance(knob, SMOOTH) and not all(map(math.isfinite, values)):
        raise ValueError(f"{name} must stay finite where it moves smoothly, got {knob!r}; jump with switch or steps")
