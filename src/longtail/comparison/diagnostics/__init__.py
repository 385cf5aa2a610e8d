"""What the report shows of a row beyond its metrics, computed from the files of its runs for comparison.json.

Each file has one function of `RowRuns` that returns entries of the row; `DIAGNOSTICS` lists them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from longtail.comparison.diagnostics.calibration import calibration
from longtail.comparison.diagnostics.confusion import confusion
from longtail.comparison.diagnostics.curves import curves
from longtail.comparison.diagnostics.row_runs import RowRuns
from longtail.comparison.diagnostics.sets import sets

__all__ = ["DIAGNOSTICS", "RowRuns", "diagnosed"]

Diagnostic = Callable[[RowRuns], dict[str, Any]]

DIAGNOSTICS: tuple[Diagnostic, ...] = (curves, confusion, calibration, sets)


def diagnosed(row: RowRuns) -> dict[str, Any]:
    """Return the entries of all diagnostics on one row."""
    found: dict[str, Any] = {}
    for diagnostic in DIAGNOSTICS:
        found |= diagnostic(row)
    return found
