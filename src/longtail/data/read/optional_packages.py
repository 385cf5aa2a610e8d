"""The packages that reading needs and the base install does not have, and how `datasets` is kept quiet."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NEEDS = {
    "images": "reading images needs datasets and pillow",
    "tables": "reading tables needs pandas and pyarrow",
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


PATIENCE = 5.0
"""Seconds until a hub that does not answer counts as not reached."""


@contextmanager
def online() -> Iterator[bool]:
    """Whether the hub answers. Where it does not, `datasets` looks only for what it downloaded before.

    Of itself it would ask six times for every file, for half a minute, and warn each time.
    """
    hub, datasets = package("huggingface_hub"), package("datasets")
    before = hub.constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    reached = not any(before) and _answers(hub)
    hub.constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = not reached
    try:
        yield reached
    finally:
        hub.constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before


def _answers(hub: Any) -> bool:
    try:
        hub.get_session().head(hub.constants.ENDPOINT, timeout=PATIENCE)
    except Exception:  # requests or httpx, by the version of huggingface_hub
        return False
    return True


@contextmanager
def silenced(*, download: bool = False) -> Iterator[None]:
    """No log of what `datasets` then raises (one line from us is enough), and no message to the hub that a file on this
    machine was opened; no bars of its own either, but for a download."""
    datasets = package("datasets")
    logs = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    as_it_is = download or datasets.utils.are_progress_bars_disabled()
    levels, counting = [log.level for log in logs], datasets.config.HF_UPDATE_DOWNLOAD_COUNTS
    for log in logs:
        log.setLevel(logging.CRITICAL)
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False
    if not as_it_is:
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
        datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = counting
        if not as_it_is:
            datasets.enable_progress_bars()
