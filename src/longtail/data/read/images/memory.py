"""How many decoded images stay in memory, by a stated rule."""

from __future__ import annotations

import os
from pathlib import Path

SHARE = 0.25
"""Images are held in memory where their pixels take at most this share of it; else they are read row by row."""

UNKNOWN = 4 * 2**30
"""Bytes assumed where the system does not say."""

LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""What a container may take."""


def memory() -> int:
    """Bytes that this machine, or the container around this process, has in all.

    All, not what happens to be free: images in memory and images read row by row are identified differently, and
    whether a comparison can be resumed must not depend on what else runs.
    """
    try:
        found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError, OSError):
        found = [UNKNOWN]
    for limit in LIMITS:
        try:
            found.append(int(Path(limit).read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return min(size for size in found if size > 0)


def fits_in_memory(images: int, size: int, share: float = SHARE) -> bool:
    """Whether this many decoded images stay in memory."""
    return images * 3 * size * size <= share * memory()
