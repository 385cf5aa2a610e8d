"""Parts of a training that begin late: in a stage of few epochs they may never take effect."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from longtail.facts.knobs import Declared, Start
from longtail.facts.schedules import Schedule, switch

SHARES = (*(k / 1000 for k in range(1000)), 1 - 1e-6)
"""Progress in trainings of any length, up to the last of a million epochs."""


@dataclass(frozen=True)
class Late:
    """A part of what a stage trains, whose strength is 0 at first.

    Progress takes the values 0, 1/E, ..., (E - 1)/E in a stage of E epochs: in a single one, what rises from 0 has no
    effect, and what begins at 0.8 has none in four.

    Args:
        what: it is, in words, such as "start=0.8".
        strength: progress -> a number; 0 is no effect.
        otherwise: what may be changed in place of the number of epochs, in words.
        needed: whether nothing is learnt without it.
        least: fewest epochs in which it is what it should be, such as those that a cycle needs.
    """

    what: str
    strength: Callable[[float], Any]
    otherwise: str = ""
    needed: bool = False
    least: int = 0

    def missing(self, epochs: int) -> bool:
        """Whether it takes effect in none of so many epochs, or these are too few, though in more of them it would.

        What never has an effect, such as start=1, is meant to have none.
        """
        never = all(self.strength(epoch / epochs) == 0 for epoch in reversed(range(epochs)))
        return epochs > 0 and (never or epochs < self.least) and any(map(self.strength, SHARES))


def late_knobs(declared: Mapping[str, Declared], values: Mapping[str, Any]) -> tuple[Late, ...]:
    """Return what knobs make begin late: schedules, and shares of the training (`knobs.Start`).

    Of a schedule 0 is no effect, and so is an infinite value: that of a lambda or a tau is the plain mean.
    """
    late = []
    for name, value in values.items():
        what = f"{name}={value!r}"
        if isinstance(declared[name].rule, Start):
            late.append(Late(what, switch(value, 0.0, 1.0), f"lower {name}"))
        elif isinstance(value, Schedule):
            late.append(Late(what, partial(_strength, value), f"change {name}"))
    return tuple(late)


def _strength(knob: Schedule, progress: float) -> float:
    value = float(knob(progress))
    return value if math.isfinite(value) else 0.0
