"""Which settings of a space are tried: all of them, some at random, or knob by knob."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TypeVar

from longtail.facts.messages import quoted
from longtail.methods.tuning.space import Interval, Setting, Space

T = TypeVar("T")
Evaluate = Callable[[Sequence[Setting]], Sequence[float]]
"""Settings -> the metric of each on validation rows; NaN where it is not known."""
MOST_CANDIDATES = 10_000
_TRIES = 100  # draws per setting; few lists have too few settings


def grid(space: Space) -> list[Setting]:
    """Return every combination of the listed values, the last knob fastest.

    Raises:
        ValueError: a knob is an interval, or there are more than `MOST_CANDIDATES`.
    """
    listed = space.listed
    count = math.prod(len(values) for values in listed.values())
    if count > MOST_CANDIDATES:
        raise ValueError(
            f"method must have at most {MOST_CANDIDATES:,} combinations, got {count:,}; list fewer values or search at "
            "random"
        )
    return [dict(zip(listed, values, strict=True)) for values in itertools.product(*listed.values())]


def at_random(space: Space, trials: int, seed: int = 0) -> list[Setting]:
    """Return different settings drawn independently; those of fewer trials come first in those of more.

    Args:
        space: lists and intervals.
        trials: their number; fewer where the lists have no more combinations.
        seed: of the draws.
    """
    if isinstance(trials, bool) or not isinstance(trials, int) or not 1 <= trials <= MOST_CANDIDATES:
        raise ValueError(f"trials must be an integer in [1, {MOST_CANDIDATES:,}], got {quoted(trials)}; 20 is usual")
    generator = random.Random(seed)
    drawn: dict[tuple[str, ...], Setting] = {}
    for _ in range(_TRIES * trials):
        setting = {
            knob: values.draw(generator) if isinstance(values, Interval) else generator.choice(values)
            for knob, values in space.varied.items()
        }
        drawn.setdefault(tuple(setting.values()), setting)
        if len(drawn) == trials:
            break
    return list(drawn.values())


def coordinate(space: Space, evaluate: Evaluate, passes: int = 2) -> Setting:
    """Vary one knob after the other (`by_coordinate`); return the best setting.

    Args:
        space: lists only.
        evaluate: settings that may run side by side -> their metric, higher is better.
        passes: over all knobs, at most.
    """
    rounds = by_coordinate(space.listed, passes)
    asked = next(rounds)
    while True:
        try:
            asked = rounds.send(evaluate(asked))
        except StopIteration as end:
            best: Setting = end.value
            return best


def by_coordinate(
    listed: Mapping[str, Sequence[T]], passes: int
) -> Generator[Sequence[Mapping[str, T]], Sequence[float], Mapping[str, T]]:
    """Vary one knob after the other, each at the best values of the others so far; return the best setting.

    It begins with the first value of every list, takes the knobs in the order given, and ends when a pass changes
    nothing. Every decision follows from the metric alone, so that a search begun again ends with the same setting.
    Ties, and metrics that are NaN, keep the earlier value.

    Yields:
        The settings of a round; it is sent the metric of each, higher is better.
    """
    best: dict[str, T] = {knob: values[0] for knob, values in listed.items()}
    for _ in range(passes):
        before = dict(best)
        for knob, values in listed.items():
            order = [best[knob], *(value for value in values if value != best[knob])]
            metric = yield [{**best, knob: value} for value in order]
            best[knob] = order[best_of(metric)]
        if best == before:
            break
    return best


def best_of(metric: Sequence[float]) -> int:
    """Return the first index of the largest number; 0 where all are NaN."""
    return max(range(len(metric)), key=lambda i: (-math.inf if math.isnan(metric[i]) else metric[i], -i))
