"""The weightings as their papers write them: floats of Python, loops, and nothing but `math`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

Row = Sequence[float]


class Call(NamedTuple):
    """One call: losses, which of them are kept, lambda and gamma at that moment."""

    losses: Row
    kept: Sequence[bool]
    lam: float
    gamma: float


def absgd(
    calls: Sequence[Call], init: str | float = "first", alpha: float = 1.0, uniform: float = 0.0, accumulate: int = 1
) -> tuple[list[list[float]], list[float | None]]:
    """The weights of every call, and s after it (None: not started), by exponentials as they stand."""
    start = {"first": None, "zero": 0.0}.get(init, init)
    s: float | None = start
    lam, step, rows, states = None, [], [], []
    for call in calls:
        if math.isinf(call.lam):
            rows.append([float(k) for k in call.kept])
            states.append(s)
            continue
        if call.lam != lam:
            s, step = start, []
        lam = call.lam
        step.append([math.exp(loss / call.lam) for loss, k in zip(call.losses, call.kept, strict=True) if k])
        e = [x for micro in step for x in micro]
        moved = s
        if e:
            g = math.fsum(e) / len(e)
            moved = g if s is None else (1 - call.gamma) * s + call.gamma * alpha * g
        rows.append(
            [
                math.exp(loss / call.lam) / moved + uniform if k else 0.0
                for loss, k in zip(call.losses, call.kept, strict=True)
            ]
        )
        if len(step) == accumulate:
            s, step = moved, []
        states.append(s)
    return rows, states


def tilted(losses: Row, t: float) -> list[float]:
    e = [math.exp(t * loss) for loss in losses]
    return [x * len(e) / math.fsum(e) for x in e]


def tilted_risk(losses: Row, t: float) -> float:
    if t == 0:
        return math.fsum(losses) / len(losses)
    return math.log(math.fsum(math.exp(t * loss) for loss in losses) / len(losses)) / t


def class_tilted_risk(losses: Row, classes: Sequence[int], t: float, within: float) -> float:
    """(1/t) log((1/N) sum_c n_c exp(t R_c)), R_c the tilted risk within class c."""
    members = {c: [loss for loss, y in zip(losses, classes, strict=True) if y == c] for c in set(classes)}
    total = math.fsum(len(own) * math.exp(t * tilted_risk(own, within)) for own in members.values())
    return math.log(total / len(losses)) / t


def exponentiated(v: list[float], index: Sequence[int], losses: Row, tau: float, memory: float) -> list[float]:
    """Move v in place; the weights of the batch, of mean 1."""
    for i, loss in zip(index, losses, strict=True):
        v[i] = v[i] ** memory * math.exp(-loss / tau)
    total = math.fsum(v[i] for i in index)
    return [v[i] * len(index) / total for i in index]
