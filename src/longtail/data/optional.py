"""The packages that reading needs and the base install does not have, and how `datasets` is kept quiet."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NEEDS = {
    "images": "reading images needs datasets and pillow",
    "tables": "reading tables needs datasets and pandas",
}


def package(name: str, reading: str = "images") -> Any:
    """An optional package.

    Args:
        name: what is imported.
        reading: what for, a key of NEEDS.

    Raises:
        ModuleNotFoundError: it is not installed; the way out is named.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ModuleNotFoundError(f"{NEEDS[reading]}; install longtail[data]") from None


@contextmanager
def silenced(*, download: bool = False) -> Iterator[None]:
    """No log of what `datasets` then raises (one line from us is enough), and no message to the hub that a file on this
    machine was opened; no bars of its own either, but for a download."""
    datasets = package("datasets")
    log, as_it_is = logging.getLogger("datasets"), download or datasets.utils.are_progress_bars_disabled()
    level, counting = log.level, datasets.config.HF_UPDATE_DOWNLOAD_COUNTS
    log.setLevel(logging.CRITICAL)
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False
    if not as_it_is:
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        log.setLevel(level)
        datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = counting
        if not as_it_is:
            datasets.enable_progress_bars()
