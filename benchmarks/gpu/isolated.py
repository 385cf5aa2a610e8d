"""A section in a process of its own: it may fail, hang or break the device, and what it had yielded is known."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.gpu.setting import NotMeasuredError, Result, Section, Setting
from benchmarks.turns import failure


def run(section: Section, setting: Setting, limit: float, on_part: Callable[[Result], None]) -> Result:
    """Run a section, and return how it ended: `finished`, wall-clock `seconds`, and why where it did not.

    Args:
        section: what to run.
        setting: its argument.
        limit: seconds after which it is stopped.
        on_part: called with each part of the result.
    """
    start = time.monotonic()
    context: Any = get_context(setting.start)
    line, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(section, setting, theirs))
    process.start()
    theirs.close()
    ending: Result = {"finished": False, "error": f"stopped after {limit:.0f} s"}
    try:
        while line.poll(max(limit - (time.monotonic() - start), 0)):
            answer = line.recv()
            if "ending" in answer:
                ending = answer["ending"]
                break
            on_part(answer["part"])
    except (EOFError, OSError):
        ending = {"finished": False, "error": "the process of the section died"}
    finally:
        if ending["finished"]:
            process.join(5)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it started too
        process.kill()
    return {**ending, "seconds": round(time.monotonic() - start, 1)}


def _serve(section: Section, setting: Setting, line: Connection) -> None:
    os.setpgrp()
    try:
        for part in section(setting):
            line.send({"part": part})
        ending: Result = {"finished": True}
    except NotMeasuredError as reason:
        ending = {"finished": True, "not measured": str(reason)}
    except KeyboardInterrupt:
        return
    except Exception as error:  # whatever a section raises
        ending = {"finished": False, "error": failure(error)}
    line.send({"ending": ending})
