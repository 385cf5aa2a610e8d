"""Keep freed memory in the process while a network trains, so that no step waits for new pages."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

TRIM, MMAP = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's mallopt."""
USUAL = 128 * 1024
"""glibc's default for both."""
LARGEST_BLOCK = 32 << 20
"""Bytes up to which a block comes from the heap; glibc allows no more."""
RETAINED = 1 << 30
"""Bytes of free memory that the process keeps instead of returning them to the system."""
_inside: list[None] = []
"""One for each training of this process."""


@contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Inside, blocks up to 32 MiB come from the heap and up to 1 GiB of freed heap stays with the process.

    By default glibc maps larger activations anew and returns them when they are freed; the system then clears their
    pages at each operation (docs/performance.md has the cost). No value depends on it. Afterwards glibc's defaults
    are in force and free memory is returned, by the last of several trainings. Elsewhere than on Linux with glibc
    nothing happens.
    """
    libc = _glibc()
    if libc is None:
        yield
        return
    libc.mallopt(MMAP, LARGEST_BLOCK)
    libc.mallopt(TRIM, RETAINED)
    _inside.append(None)
    try:
        yield
    finally:
        _inside.pop()
        if not _inside:
            libc.mallopt(MMAP, USUAL)
            libc.mallopt(TRIM, USUAL)
            libc.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        libc = ctypes.CDLL(None)
    except OSError:
        return None
    # musl and others lack these
    return libc if all(hasattr(libc, n) for n in ("gnu_get_libc_version", "mallopt", "malloc_trim")) else None
