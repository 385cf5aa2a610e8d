"""Whether decoded images fit in memory, by a fixed rule."""

from __future__ import annotations

import os
from pathlib import Path

SHARE = 0.25
"""Images are loaded into memory where their pixels take at most this share of it; else they are read row by row."""

UNKNOWN = 4 * 2**30
"""Bytes assumed where the system does not say."""

LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Files with the memory limit of a container."""


def memory() -> int:
    """Return the bytes that this machine, or the container of this process, has in all.

    In all, not the free ones: images in memory and images read row by row have different identities, and whether a
    comparison can be resumed must not depend on other processes.
    """
    try:
        sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError, OSError):
        sizes = [UNKNOWN]
    for limit in LIMITS:
        try:
            sizes.append(int(Path(limit).read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return min(size for size in sizes if size > 0)


def fits_in_memory(images: int, size: int, share: float = SHARE) -> bool:
    """Return whether this many decoded images fit in memory."""
    return bytes_fit(images * 3 * size * size, share)


def bytes_fit(count: int, share: float = SHARE) -> bool:
    """Return whether inputs of so many bytes fit in memory."""
    return count <= share * memory()
