"""A folder has one holder at a time, and a holder that is gone holds nothing."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from longtail.engine.lock import exclusive

HOLD = """
import os, sys, time
from pathlib import Path
from longtail.engine.lock import exclusive
with exclusive(Path(sys.argv[1])):
    read, write = os.pipe()
    child = os.fork() if len(sys.argv) > 2 else 1
    if len(sys.argv) > 2 and child:
        os.read(read, 1)  # the child has let go of what it inherited
    if child:
        print(child, flush=True)
    else:
        os.write(write, b".")
    time.sleep(600)
"""


def holder(folder: Path, *more: str) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder), *more], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


@pytest.mark.slow
def test_another_process_is_refused_with_the_holders_name(tmp_path: Path) -> None:
    process, _ = holder(tmp_path)
    try:
        told = (
            f"is in use by process {process.pid} on host {platform.node()}; wait for it or stop it, then run the same"
        )
        with pytest.raises(ValueError, match=told), exclusive(tmp_path):
            pass
    finally:
        process.kill()
        process.communicate()
    with exclusive(tmp_path):  # the kernel has let go
        pass


@pytest.mark.slow
def test_a_child_does_not_keep_the_lock_of_a_killed_holder(tmp_path: Path) -> None:
    process, child = holder(tmp_path, "fork")
    try:
        process.kill()
        process.wait()
        os.kill(child, 0)  # it lives
        with exclusive(tmp_path):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        process.communicate()


@pytest.mark.slow
def test_a_child_that_leaves_does_not_unlock_the_folder_of_its_parent(tmp_path: Path) -> None:
    lock = exclusive(tmp_path)
    with lock:
        child = os.fork()
        if child == 0:
            lock.__exit__(None, None, None)  # a worker that ends leaves the block, too
            os._exit(0)
        os.waitpid(child, 0)
        command = [sys.executable, "-c", HOLD.replace("600", "0"), str(tmp_path)]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"is in use by process {os.getpid()} on host" in process.stderr


def test_a_training_may_be_closed_by_another_thread(tmp_path: Path) -> None:
    lock = exclusive(tmp_path)
    lock.__enter__()
    thread = threading.Thread(target=lock.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    with exclusive(tmp_path):
        pass


def test_one_process_cannot_hold_a_folder_twice(tmp_path: Path) -> None:
    told = "this very process; finish or close the other training"
    with exclusive(tmp_path), pytest.raises(ValueError, match=told), exclusive(tmp_path):
        pass
    with exclusive(tmp_path):
        pass


def test_a_dropped_holder_of_this_process_lets_go(tmp_path: Path) -> None:
    class Training:
        """Refers to itself through its generator, as a training does."""

        def __init__(self) -> None:
            self.epochs = self.run()
            next(self.epochs)

        def run(self) -> Iterator[int]:
            with exclusive(tmp_path):
                yield 1

    begun = Training()
    del begun
    with exclusive(tmp_path):
        pass


def test_where_locks_are_unknown_a_warning_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import fcntl

    def unsupported(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with exclusive(tmp_path):
        assert "cannot be locked (Operation not supported)" in caplog.text
