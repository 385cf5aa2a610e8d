"""Cells of CSV files that people open in a spreadsheet: text that would be run as a formula stays text there."""

from __future__ import annotations

from typing import Any

from longtail.facts.messages import visible

FORMULA = ("=", "+", "-", "@")
"""What begins a formula. A tab or a line end would, too, but those are escaped."""


def cells(line: list[Any]) -> list[Any]:
    """The cells of one line: numbers as they are, text in visible characters, after ' where it begins as a formula."""
    return [_text(cell) if isinstance(cell, str) else cell for cell in line]


def _text(text: str) -> str:
    text = visible(text)
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text
