"""Cells of CSV files that people open in a spreadsheet: text that would be run as a formula stays text there."""

from __future__ import annotations

from typing import Any

from longtail.facts.messages import visible

FORMULA = ("=", "+", "-", "@")
"""What begins a formula. A tab or a line end would, too, but those are escaped."""


def cells(line: list[Any]) -> list[Any]:
    """Return the cells of a line: text in visible characters, after ' where it begins as a formula; a number stays."""
    return [_text(cell) if isinstance(cell, str) else cell for cell in line]


def _text(text: str) -> str:
    text = visible(text)
    return f"'{text}" if text.lstrip().startswith(FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    """Whether it is a number, such as the class -1, which a spreadsheet does not run."""
    try:
        float(text)
    except ValueError:
        return False
    return True
