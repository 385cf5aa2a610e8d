"""The tables that a self-supervised comparison has beside that of methods, and what is said of them."""

from __future__ import annotations

from typing import Any

from longtail.report import feature_measures, probes


def encoder_tables(summary: dict[str, Any]) -> list[tuple[list[list[str]], str]]:
    """Return each table, its header first, with the sides of its columns; [] where there is none."""
    tables = [
        (probes.probe_lines(summary), probes.SIDES),
        (feature_measures.measure_lines(summary), feature_measures.SIDES),
    ]
    return [(lines, sides) for lines, sides in tables if lines]


def about_encoders(summary: dict[str, Any]) -> list[str]:
    """Return what is in these tables, in lines."""
    return [*probes.about_probes(summary), *feature_measures.about_measures(summary)]
