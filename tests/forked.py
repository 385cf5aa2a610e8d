"""Python code in a process of its own, forked from a server that has imported everything: real signals, no start."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from threading import Thread
from typing import Any

SERVER = multiprocessing.get_context("forkserver")
"""Real processes that need not import everything anew; an optimiser's first step imports torch._dynamo."""
SERVER.set_forkserver_preload(
    ["longtail.runs.train", "longtail.methods", "torch._dynamo", "longtail.cli", "datasets", "PIL.Image", "sklearn"]
)


class Forked:
    """What `subprocess.Popen([python, "-c", code, *arguments], text=True, start_new_session=True)` is."""

    def __init__(self, code: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        pipes = [SERVER.Pipe(duplex=False) for _ in "oe"]
        ends = [write for _, write in pipes]
        self.process = SERVER.Process(target=_run, args=(code, list(arguments), dict(environment), *ends))
        self.process.start()
        for end in ends:
            end.close()
        self.said = ["", ""]
        self.readers = [Thread(target=self._read, args=(i, read)) for i, (read, _) in enumerate(pipes)]
        for reader in self.readers:
            reader.start()

    def _read(self, i: int, end: Any) -> None:
        with end, os.fdopen(os.dup(end.fileno())) as file:
            self.said[i] = file.read()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; what it wrote to its two streams."""
        self.process.join(timeout)
        assert self.process.exitcode is not None, "it has not ended"
        for reader in self.readers:
            reader.join()
        return self.said[0], self.said[1]


def _run(code: str, arguments: list[str], environment: dict[str, str], out: Any, err: Any) -> None:
    os.setsid()
    multiprocessing.set_start_method(multiprocessing.get_all_start_methods()[0], force=True)  # as in a new interpreter
    for number, end in ((1, out), (2, err)):
        os.dup2(end.fileno(), number)
        end.close()
    sys.stdout, sys.stderr = (os.fdopen(number, "w", 1, closefd=False) for number in (1, 2))  # these are pipes
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["-c", *arguments]
    try:
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
    finally:
        atexit._run_exitfuncs()  # multiprocessing does not
