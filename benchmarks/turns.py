"""Time variants of a step in turn, each in a process of its own, so that ratios within a round mean something.

A machine that speeds up or slows down does so for all variants. What one leaves in its heap, or breaks on the device,
touches no other: a variant that fails is recorded, and the others go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from statistics import median
from typing import Any

import torch

from longtail.engine import malloc

Stepper = Callable[[], None]
PATIENCE = 600.0
"""Seconds after which a variant that is not ready, or does not answer, has failed."""


@dataclass(frozen=True)
class Variant:
    """What is timed: how its step is made for a device, and under which memory settings of the C library."""

    make: Callable[[str], Stepper]
    kept: bool = True

    def settings(self) -> AbstractContextManager[None]:
        """Return the memory settings: freed memory is kept, or given back to the system."""
        return malloc.keep_freed_memory() if self.kept else nullcontext()


@dataclass
class Timed:
    """Seconds of a step, by round; the peak of a GPU's memory; why the variant failed."""

    seconds: list[float] = field(default_factory=list)
    peak_mb: float | None = None
    error: str = ""

    def ratios(self, base: Timed) -> list[float]:
        """Return this variant's time over another's, round by round."""
        return [own / other for own, other in zip(self.seconds, base.seconds, strict=False)]

    def row(self, base: Timed, digits: int = 3) -> dict[str, Any]:
        """Return milliseconds and the ratio to another variant, medians over rounds; or the error."""
        if not self.seconds:
            return {"error": self.error}
        row: dict[str, Any] = {"ms": round(1000 * median(self.seconds), digits)}
        if ratios := self.ratios(base):
            row["ratio"] = round(median(ratios), digits)
        if self.peak_mb is not None:
            row["peak_mb"] = round(self.peak_mb, 1)
        return row | ({"error": self.error} if self.error else {})


def clock(device: str) -> float:
    """Return the seconds of a clock, when the device has done all its work."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def seconds_of(work: Callable[[], None], device: str) -> float:
    """Return what some work takes: between two events on a GPU's stream, by the clock elsewhere."""
    if not device.startswith("cuda"):
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    work()
    last.record()
    last.synchronize()
    return first.elapsed_time(last) / 1000


def failure(error: BaseException) -> str:
    """Return an exception as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def measure(
    variants: dict[str, Variant],
    rounds: int,
    steps: int,
    threads: int,
    device: str,
    patience: float = PATIENCE,
    start: str = "spawn",
) -> dict[str, Timed]:
    """Time `steps` steps of every variant in every round; a round before them warms up.

    Args:
        variants: by name.
        rounds: how often each takes its turn.
        steps: of a turn.
        threads: of the CPU, for each.
        device: what the variants are made for.
        patience: seconds in which all must be ready, and in which each must answer from then on.
        start: how processes begin; "fork" imports nothing again, and must not be used with CUDA.
    """
    context: Any = get_context(start)
    results = {name: Timed() for name in variants}
    lines: dict[str, tuple[Connection, BaseProcess]] = {}
    for name, variant in variants.items():
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(variant, threads, device, theirs))
        process.start()
        theirs.close()  # the variant's alone: if it dies, reading ends
        lines[name] = (ours, process)

    until = time.monotonic() + patience  # to be ready; they get ready at the same time

    def ask(name: str, question: int | None = None) -> Any:
        """Return the answer of a variant that works; None where it fails now."""
        line, process = lines[name]
        try:
            if question is not None:
                line.send(question)
            if not line.poll(patience if question is not None else max(until - time.monotonic(), 0)):
                raise TimeoutError(f"no answer after {patience:.0f} s")
            answer = line.recv()
        except (EOFError, OSError) as error:
            answer = failure(error)
        if isinstance(answer, str):
            results[name].error = answer
            process.kill()
            del lines[name]
            return None
        return answer

    try:
        for name in variants:
            ask(name)  # ready
        for i in range(rounds + 1):
            for name in list(lines):
                seconds = ask(name, steps)
                if i and seconds is not None:
                    results[name].seconds.append(seconds)
        for name in list(lines):
            peak = ask(name, 0)
            results[name].peak_mb = peak or None
    finally:
        for line, process in lines.values():
            line.close()
            process.join(10)
            process.kill()
    return results


def _serve(variant: Variant, threads: int, device: str, line: Connection) -> None:
    """Answer a number of steps with the seconds of one, and 0 with the peak of the device's memory in megabytes."""
    torch.set_num_threads(threads)
    try:
        with variant.settings():
            step = variant.make(device)
            step()
            line.send(0.0)
            while steps := line.recv():
                start = clock(device)
                for _ in range(steps):
                    step()
                line.send((clock(device) - start) / steps)
        line.send(torch.cuda.max_memory_allocated() / 1e6 if device.startswith("cuda") else 0.0)
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return  # nobody asks any more
    except Exception as error:  # whatever a variant raises
        line.send(failure(error))
