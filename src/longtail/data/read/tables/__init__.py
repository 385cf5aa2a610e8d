"""Tables in: files and frames as a pool, their label found, every cell as it was written."""

from typing import Any

from longtail import aliases


def __getattr__(name: str) -> Any:
    return aliases.name(__name__, name)
