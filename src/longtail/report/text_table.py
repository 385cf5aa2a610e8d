"""Lines of cells as text: in aligned columns, and as a table in Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(lines: Sequence[Sequence[str]], sides: str) -> list[str]:
    """Every line with its cells in columns as wide as their longest cell.

    Args:
        lines: of equally many cells.
        sides: for each column "<" for left or ">" for right.
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True))
        for line in lines
    ]


def markdown_table(lines: Sequence[Sequence[str]], sides: str) -> str:
    """The same as a table in Markdown; the first line is the head."""
    rule = "|".join({"<": "---", ">": "---:"}[side] for side in sides)
    rows = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines]
    return "\n".join([rows[0], f"|{rule}|", *rows[1:]])
