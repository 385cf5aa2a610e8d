"""Several trainings in one process, step by step in turn; steps of a kind are made at once (`pack.py`).

A `Work` is what succeeds or fails as a whole: one training, or the trainings of all folds. A work that fails leaves the
others alone. What is a training's own, and how many go at once, are `lanes.py` and `admission.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from longtail.engine.admission import Admission
from longtail.engine.due_step import Events
from longtail.engine.lanes import Cpu, Device
from longtail.engine.turns import Turns
from longtail.engine.works import Ending, Pending, Work


def side_by_side(trainings: Sequence[Events], device: Device | None = None) -> None:
    """Make all steps of these trainings; each ends as it would by itself, to the byte.

    Args:
        trainings: the events of each; what reads its records is behind them.
        device: where they train; by default a CPU.

    Raises:
        Exception: of the first training that fails; the others are closed, and resume from their checkpoints.
    """

    def work() -> Work:
        yield trainings

    finish(work, device)


def finish(begin: Callable[[], Work], device: Device | None = None) -> Any:
    """Make one work by itself, and return its result or raise its error."""
    (ending,) = endings([Pending(None, begin)], device or Cpu())
    if ending.error is not None:
        raise ending.error
    return ending.result


def endings(pending: Iterable[Pending], device: Device, admission: Admission | None = None) -> Iterator[Ending]:
    """Make works side by side; yield each one's ending when it comes.

    A work that fails for want of the memory that others take, or while steps of several are made at once, is closed
    and made again by itself after the others.

    Args:
        pending: a work is taken from it when it may begin.
        device: where they train.
        admission: how many are at work at once; by default what the device proposes.
    """
    turns = Turns(iter(pending), device, device.admission(None) if admission is None else admission)
    try:
        while turns.admit():
            turns.advance()
            turns.make_packed()
            yield from turns.ended()
    finally:
        turns.close()
