"""Images in: a folder of them, decoded by stated rules, as a pool."""

from typing import Any

from longtail import aliases


def __getattr__(name: str) -> Any:
    return aliases.name(__name__, name)
