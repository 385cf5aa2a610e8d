"""The tables that a comparison may have beside that of methods, and what is said of them."""

from __future__ import annotations

from typing import Any

from longtail.report.encoder_tables import about_encoders, encoder_tables
from longtail.report.wrong_labels import SIDES, about_wrong_labels, wrong_label_lines


def further_tables(summary: dict[str, Any]) -> list[tuple[list[list[str]], str]]:
    """Return each table, its header first, with the sides of its columns; [] where there is none."""
    lines = wrong_label_lines(summary)
    return [*encoder_tables(summary), *([(lines, SIDES)] if lines else [])]


def about_further_tables(summary: dict[str, Any]) -> list[str]:
    """Return what is in these tables, in lines."""
    return [*about_encoders(summary), *about_wrong_labels(summary)]
