"""What the sentences of an inspection are made of."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]
"""What `inspection` returns."""
Found = tuple[str, str]
"""The code of the check, and a sentence."""


def plural(count: int, one: str = "class has", many: str = "classes have") -> str:
    """Format a count with its noun, as in "1 class has" and "2 classes have"."""
    return f"{count:,} {one if count == 1 else many}"


def share(part: int, whole: int) -> str:
    """Format a part of a whole in percent."""
    return f"{100 * part / max(whole, 1):.2g} %"
