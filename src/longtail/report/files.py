"""Write the files of a comparison: comparison.json, .csv, .md, recall.svg, and the pictures of each run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from longtail.facts.files import write_text
from longtail.report import recall_plot, run_plots, tables
from longtail.report.comma_separated import comma_separated


def write(folder: Path, summary: dict[str, Any]) -> list[Path]:
    """Write the files beside a comparison's runs, and return their paths."""
    contents = {
        "comparison.json": json.dumps(summary, indent=2, allow_nan=False) + "\n",
        "comparison.csv": comma_separated(summary),
        "comparison.md": tables.markdown(summary),
        "recall.svg": recall_plot.svg(summary),
    }
    written = []
    for name, content in contents.items():
        if content is not None:
            write_text(folder / name, content)
            written.append(folder / name)
    runs = [folder / run["folder"] for row in summary["rows"] for run in row["runs"] if "folder" in run]
    return written + [drawn for run in runs for drawn in run_plots.write_plots(run)]
