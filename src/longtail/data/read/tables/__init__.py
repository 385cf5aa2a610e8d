"""Reading tables: files and frames as a pool, with their label, every cell as written."""

from typing import Any

from longtail import aliases


def __getattr__(name: str) -> Any:
    return aliases.name(__name__, name)
