"""Progress on standard error while runs go on: a bar in a terminal, else a plain line now and then."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from longtail.cli.terminal import print_lines
from longtail.facts.messages import visible
from longtail.report.printable import shown

FIRST, LATER = 10.0, 60.0
"""Seconds between two lines: at first, and at most; each wait is twice the one before."""


class Lines:
    """Lines without control characters, for a log: the first when the work begins, then fewer and fewer.

    Nothing is printed before FIRST seconds of preparation, whose errors are one line alone.
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
        """Take note that the data are read; print nothing, since what comes first may yet be refused."""
        self._now = (doing, 0, total)

    def update(self, doing: str, finished: int, total: int) -> None:
        """Print what runs now and how much is finished the first time; later the heartbeat does."""
        self._now = (doing, finished, total)
        if not self._begun:
            self._begun = True
            self._print()

    def doing(self, what: str) -> None:
        """Say what goes on before the first run, where it takes longer."""
        self._now = (what, 0, 0)

    def print_line(self, line: str) -> None:
        """Print a line at once."""
        print_lines(line, error=True)

    def close(self, *, success: bool) -> None:
        """End the heartbeat; after success, print how long it took."""
        self._over.set()
        self._thread.join()
        _, finished, total = self._now
        if self._begun and success:
            self.print_line(f"longtail: {self._what}: {finished} of {total} {self._unit} finished, {self._elapsed()}")

    def _heartbeat(self) -> None:
        wait = FIRST
        while not self._over.wait(wait):
            self._print()
            wait = min(2 * wait, LATER)

    def _print(self) -> None:
        doing, finished, total = self._now
        state = f"{finished} of {total} {self._unit} finished, {doing}" if total else doing
        self.print_line(f"longtail: {self._what}: {state}, {self._elapsed()}")

    def _elapsed(self) -> str:
        seconds = time.monotonic() - self._start
        return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


class Bar:
    """A bar with what is running, elapsed time and an estimate of the rest; the same methods as `Lines`."""

    def __init__(self, what: str) -> None:
        from rich import progress

        from longtail.cli import comparison_output

        self._what = what
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn("elapsed"),
            progress.TimeElapsedColumn(),
            progress.TextColumn("left"),
            progress.TimeRemainingColumn(),
            console=comparison_output.console(stderr=True),
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task(f"{what}: reading the data", total=None)

    def prepared(self, doing: str, total: int) -> None:
        """Show the bar at its beginning."""
        self.update(doing, 0, total)

    def update(self, doing: str, finished: int, total: int) -> None:
        """Move the bar."""
        text = f"{self._what}: {doing}"
        self._bar.update(self._task, description=text, completed=finished, total=total, refresh=True)

    def doing(self, what: str) -> None:
        """Say what goes on before the first run."""
        self._bar.update(self._task, description=what, refresh=True)

    def print_line(self, line: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(line, markup=False, style="red")

    def close(self, *, success: bool) -> None:
        """Remove the bar."""
        self._bar.stop()


Display = Lines | Bar
_EMBEDDING = logging.getLogger("longtail.data.read.backbone")
"""Logs how far a backbone is, which may take longer than all that follows."""


class _Told(logging.Handler):
    """Shows what is logged as what goes on; warnings are shown as any other."""

    def __init__(self, screen: Display) -> None:
        super().__init__(logging.INFO)
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.INFO:
            self._screen.doing(record.getMessage())


@contextmanager
def display(what: str, unit: str) -> Iterator[Display]:
    """A bar where standard error is a terminal, lines elsewhere."""
    screen = Bar(what) if sys.stderr.isatty() else Lines(what, unit)
    success = False
    told = _Told(screen)
    level = _EMBEDDING.level
    _EMBEDDING.addHandler(told)
    _EMBEDDING.setLevel(logging.INFO)
    try:
        yield screen
        success = True
    finally:
        _EMBEDDING.removeHandler(told)
        _EMBEDDING.setLevel(level)
        screen.close(success=success)


@contextmanager
def comparison_callbacks(what: str) -> Iterator[dict[str, Any]]:
    """The callbacks of a comparison that show which runs begin, end and fail."""
    running: list[str] = []
    finished = total = 0
    with display(what, "runs") as screen:

        def on_plan(plan: Any) -> None:
            nonlocal finished, total
            finished, total = sum(task.finished for task in plan.tasks), len(plan.tasks)
            screen.prepared("beginning", total)

        def on_begin(task: Any) -> None:
            running.append(_run_name(task))
            screen.update(_running(running), finished, total)

        def on_result(result: Any) -> None:
            nonlocal finished
            name = _run_name(result.task)
            if name in running:
                running.remove(name)
            if result.error is not None:
                screen.print_line(visible(f"FAILED {name}: {result.error}"))
            else:
                finished += 1
            screen.update(_running(running), finished, total)

        yield {"on_plan": on_plan, "on_begin": on_begin, "on_result": on_result}


def _run_name(task: Any) -> str:
    changes = "".join(f", {name}={value!r}" for name, value in getattr(task, "changes", ()))
    return f"{shown(task.spec)}{changes}, seed {task.seed}"


def _running(names: list[str]) -> str:
    if not names:
        return "computing the table"
    return f"running {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
