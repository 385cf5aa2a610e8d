"""What `longtail inspect` finds in the data of a comparison, for its report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from longtail.data import Splits
from longtail.data.pool import Pool
from longtail.facts import json_documents
from longtail.inspection import inspection

WAY_OUT = "run the same command again"

Findings = list[dict[str, Any]]
"""The checks that found something; see `inspection.checks`."""


def findings(rows: Pool | None, splits: Splits) -> Findings:
    """Inspect the data of a comparison.

    Args:
        rows: as they were read, with their columns; None where only the parts are there.
        splits: the parts that are compared on, or those of one fold.
    """
    document = inspection(splits) if rows is None else inspection(rows, splits)
    found: Findings = document["checks"]
    return found


def known_findings(out: Path, data_hash: str) -> Findings | None:
    """Return the findings that an earlier summary of the folder has on the same data; None where it has none."""
    try:
        last = json_documents.read(out / "comparison.json", WAY_OUT)
    except ValueError:  # none yet, or one that is damaged and written anew
        return None
    found: Findings | None = last.get("findings")
    return found if last.get("data", {}).get("hash") == data_hash else None
