"""One process at a time in a folder: a lock that ends with its holder, however that ends."""

from __future__ import annotations

import gc
import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from longtail.facts.files import naming

NAME = "lock"
log = logging.getLogger(__name__)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Inside, the folder is locked for this training alone.

    `folder/lock` is locked by the operating system and names the holder's process and host. The lock ends with its
    holder, a kill included, so none is ever stale; forked children do not inherit it. The file is not deleted. Where
    the file system has no locks, a warning is logged and the folder is used without one.

    Raises:
        ValueError: another process, or another training of this one, has locked the folder.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    # not per thread: a training may be closed by another thread than began it; no lock by mere existence, which a
    # killed holder would leave behind
    lock = FileLock(path, blocking=False, thread_local=False, fallback_to_soft=False, on_acquired=partial(_sign, path))
    _acquire(lock, folder)
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: FileLock, folder: Path, *, collected: bool = False) -> None:
    try:
        lock.acquire()
    except Timeout:
        holder = _holder(folder / NAME)
        own = holder == _name()
        if own and not collected:
            gc.collect()  # a dropped training is a reference cycle, and locks its folder until it is collected
            return _acquire(lock, folder, collected=True)
        hint = ", this very process; finish or close the other training" if own else "; wait for it or stop it"
        raise ValueError(f"{folder} is in use by {holder}{hint}, then run the same command again") from None
    except OSError as error:
        if error.filename is not None:  # the file cannot be opened or written; else it cannot be locked
            raise
        log.warning("%s cannot be locked (%s); do not use it from two processes at once", folder, error.strerror)


def _holder(path: Path) -> str:
    try:
        return path.read_text(errors="replace")[:200].strip() or "another process"  # it may not have signed yet
    except OSError:  # Windows lets nobody read what is locked
        return "another process"


def _sign(path: Path, descriptor: int) -> None:
    with naming(path):
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{_name()}\n".encode())


def _name() -> str:
    return f"process {os.getpid()} on host {platform.node()}"
