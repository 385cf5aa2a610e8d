"""Read images, from a folder or from the hub, as a pool."""

from typing import Any

from longtail import aliases


def __getattr__(name: str) -> Any:
    return aliases.name(__name__, name)
