"""The files of a comparison: comparison.json, .csv, .md and recall.svg, each written whole or not at all.

Beside each run with instance weights, weights.svg.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from longtail.report import recall_plot, tables, weight_plot


def write(folder: Path, summary: dict[str, Any]) -> list[Path]:
    """Write the files of a comparison beside its runs, and return their paths."""
    contents = {
        "comparison.json": json.dumps(summary, indent=2, allow_nan=False) + "\n",
        "comparison.csv": tables.comma_separated(summary),
        "comparison.md": tables.markdown(summary),
        "recall.svg": recall_plot.svg(summary),
    }
    written = []
    for name, content in contents.items():
        if content is not None:
            temporary = folder / f"{name}.tmp"
            temporary.write_text(content, encoding="utf-8")
            os.replace(temporary, folder / name)
            written.append(folder / name)
    runs = [folder / run["folder"] for row in summary["rows"] for run in row["runs"] if "folder" in run]
    return written + [drawn for drawn in map(weight_plot.write_plot, runs) if drawn is not None]
