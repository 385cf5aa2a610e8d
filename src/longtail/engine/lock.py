"""One process at a time in a folder: a lock that ends with its holder, however that ends."""

from __future__ import annotations

import gc
import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: the folder stays unguarded
    fcntl = None  # type: ignore[assignment]

NAME = "lock"
log = logging.getLogger(__name__)
_descriptors: set[int] = set()


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Inside, the folder is this training's alone.

    An flock on `folder/lock`, which names the holder's process and host. The kernel frees it when the holder ends,
    a kill included, so no lock is ever stale; the file stays, since deleting it would let two processes hold two
    files of one name. Where the file system knows no locks, a warning is logged and the folder is used unguarded.

    Raises:
        ValueError: another process, or another training of this one, holds the folder.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    _descriptors.add(descriptor)
    try:
        _take(descriptor, folder)
        _sign(descriptor, path)
        yield
    finally:
        _descriptors.discard(descriptor)
        os.close(descriptor)


def _take(descriptor: int, folder: Path) -> None:
    holder = _locked(descriptor, folder)
    if holder == _name():
        gc.collect()  # a training that was dropped is a cycle, and holds its folder until it is collected
        holder = _locked(descriptor, folder)
    if holder is not None:
        own = holder == _name()
        hint = ", this very process; finish or close the other training" if own else "; wait for it or stop it"
        raise ValueError(f"{folder} is in use by {holder}{hint}, then run the same command again")


def _locked(descriptor: int, folder: Path) -> str | None:
    """None once the lock is taken, or who has it."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        # the holder may not have signed yet
        return os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"
    except OSError as error:
        log.warning("%s cannot be locked (%s); do not use it from two processes at once", folder, error.strerror)
    return None


def _sign(descriptor: int, path: Path) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{_name()}\n".encode(), 0)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _name() -> str:
    return f"process {os.getpid()} on host {platform.node()}"


def _let_go() -> None:
    """A forked child, a reader of images say, must not keep the lock of a parent that was killed."""
    for descriptor in _descriptors:
        os.close(descriptor)
    _descriptors.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
