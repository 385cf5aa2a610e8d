"""What is told on standard error while runs go on: a bar in a terminal, else a plain line now and then."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from longtail.cli.terminal import say
from longtail.facts.messages import visible
from longtail.report.printable import shown

FIRST, LATER = 10.0, 60.0
"""Seconds between two lines: at first, and at most; each wait is twice the one before."""


class Display(Protocol):
    """Where it is shown how far the work is."""

    def prepared(self, doing: str, total: int) -> None:
        """The data are read; what comes first may still be refused, so that nothing is said yet in lines."""
        ...

    def show(self, doing: str, finished: int, total: int) -> None:
        """What goes on now, and how many of how many are finished; at most one line, or none."""
        ...

    def tell(self, line: str) -> None:
        """A line that stays."""
        ...

    def close(self, *, whole: bool) -> None:
        """Nothing goes on any more; `whole` where nothing went wrong."""
        ...


class Lines:
    """Lines without control characters, for a log: the first when the work begins, then fewer and fewer.

    Nothing is said before FIRST seconds of preparation, whose errors are one line alone.
    """

    def __init__(self, what: str, unit: str) -> None:
        self._what, self._unit = what, unit
        self._start = time.monotonic()
        self._now = ("reading the data", 0, 0)
        self._begun = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._heartbeat, daemon=True)
        self._thread.start()

    def prepared(self, doing: str, total: int) -> None:
        """Known to the heartbeat."""
        self._now = (doing, 0, total)

    def show(self, doing: str, finished: int, total: int) -> None:
        """Print the first time; later the heartbeat does."""
        self._now = (doing, finished, total)
        if not self._begun:
            self._begun = True
            self._print()

    def tell(self, line: str) -> None:
        """Print it."""
        say(line, error=True)

    def close(self, *, whole: bool) -> None:
        """End the heartbeat, and say how long it took; where something went wrong, that is said and not this."""
        self._over.set()
        self._thread.join()
        _, finished, total = self._now
        if self._begun and whole:
            self.tell(f"longtail: {self._what}: {finished} of {total} {self._unit} finished, {self._elapsed()}")

    def _heartbeat(self) -> None:
        wait = FIRST
        while not self._over.wait(wait):
            self._print()
            wait = min(2 * wait, LATER)

    def _print(self) -> None:
        doing, finished, total = self._now
        far = f"{finished} of {total} {self._unit} finished, {doing}" if total else doing
        self.tell(f"longtail: {self._what}: {far}, {self._elapsed()}")

    def _elapsed(self) -> str:
        seconds = time.monotonic() - self._start
        return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


class Bar:
    """A bar with what is running, elapsed time and an estimate of the rest."""

    def __init__(self, what: str) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        from longtail.cli import comparison_output

        self._what = what
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("elapsed"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=comparison_output.console(stderr=True),
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task(f"{what}: reading the data", total=None)

    def prepared(self, doing: str, total: int) -> None:
        """Show the bar at its beginning."""
        self.show(doing, 0, total)

    def show(self, doing: str, finished: int, total: int) -> None:
        """Move the bar."""
        self._bar.update(
            self._task, description=f"{self._what}: {doing}", completed=finished, total=total, refresh=True
        )

    def tell(self, line: str) -> None:
        """Print above the bar."""
        self._bar.console.print(line, markup=False, style="red")

    def close(self, *, whole: bool) -> None:
        """Take the bar away."""
        self._bar.stop()


@contextmanager
def display(what: str, unit: str) -> Iterator[Display]:
    """A bar where standard error is a terminal, lines elsewhere."""
    found: Display = Bar(what) if sys.stderr.isatty() else Lines(what, unit)
    whole = False
    try:
        yield found
        whole = True
    finally:
        found.close(whole=whole)


@contextmanager
def watched(what: str) -> Iterator[dict[str, Any]]:
    """What is told over the runs of a comparison: the callbacks that say what begins, what ended, and what failed."""
    running: list[str] = []
    finished = total = 0
    with display(what, "runs") as screen:

        def planned(plan: Any) -> None:
            nonlocal finished, total
            finished, total = sum(t.finished for t in plan.tasks), len(plan.tasks)
            screen.prepared("beginning", total)

        def begun(task: Any) -> None:
            running.append(f"{shown(task.spec)}, seed {task.seed}")
            screen.show(_running(running), finished, total)

        def ended(outcome: Any) -> None:
            nonlocal finished
            where = f"{shown(outcome.task.spec)}, seed {outcome.task.seed}"
            if where in running:
                running.remove(where)
            if outcome.error is not None:
                screen.tell(visible(f"FAILED {where}: {outcome.error}"))
            else:
                finished += 1
            screen.show(_running(running), finished, total)

        yield {"on_plan": planned, "on_begin": begun, "on_result": ended}


def _running(names: list[str]) -> str:
    if not names:
        return "computing the table"
    return f"running {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
