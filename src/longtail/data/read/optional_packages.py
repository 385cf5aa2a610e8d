"""Optional packages that reading needs, and how `datasets` is kept quiet and offline."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NEEDS = {
    "images": "reading images needs datasets and pillow",
    "tables": "reading tables needs pandas and pyarrow",
    "workbooks": "reading .xlsx files needs openpyxl",
}


def package(name: str, reading: str = "images") -> Any:
    """An optional package.

    Args:
        name: of the module to import.
        reading: the kind of data that needs it, a key of NEEDS.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ModuleNotFoundError(f"{NEEDS[reading]}; install longtail[data]") from None


def optional(name: str, needs: str) -> Any:
    """An optional package that no extra of longtail has to have.

    Raises:
        ModuleNotFoundError: it is not installed; `needs` says what is to be.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ModuleNotFoundError(needs) from None


PATIENCE = 5.0
"""Seconds until a hub that does not answer counts as not reached."""


@contextmanager
def online() -> Iterator[bool]:
    """Whether the hub answers. Where it does not, `datasets` reads only what it downloaded before.

    By default it would ask six times for every file, for half a minute, and warn each time.
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
    """Keep `datasets` from logging what it then raises, from telling the hub that a local file was opened, and from
    showing progress bars, except for a download."""
    datasets = package("datasets")
    logs = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    unchanged = download or datasets.utils.are_progress_bars_disabled()
    levels, counts = [log.level for log in logs], datasets.config.HF_UPDATE_DOWNLOAD_COUNTS
    for log in logs:
        log.setLevel(logging.CRITICAL)
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False
    if not unchanged:
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
        datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = counts
        if not unchanged:
            datasets.enable_progress_bars()
