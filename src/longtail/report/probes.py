"""The probes of a self-supervised comparison: one line for each method and probe."""

from __future__ import annotations

from typing import Any

from longtail.facts.messages import visible
from longtail.report.rows import CONTEXT_MARK, context, percent, spread

HEADER = ("method", "probe", "bal. acc.", "many", "medium", "few", "std of groups (population)", "(sample)")
SIDES = "<<>>>>>>"
COLUMNS = ("many", "medium", "few", "std_population", "std_sample")


def probe_lines(summary: dict[str, Any]) -> list[list[str]]:
    """Return the table of probes, its header first; [] where no row has probes."""
    lines = []
    for row in summary["rows"]:
        for name, probe in row.get("probes", {}).items():
            mean, mark = probe["mean"], f" {CONTEXT_MARK}" if context(row) else ""
            balanced = spread(mean["balanced_accuracy"], probe["std"]["balanced_accuracy"])
            lines.append([visible(row["method"]) + mark, name, balanced, *(percent(mean[c]) for c in COLUMNS)])
    return [list(HEADER), *lines] if lines else []


def about_probes(summary: dict[str, Any]) -> list[str]:
    """Return what the probes are, in lines."""
    if not probe_lines(summary):
        return []
    return [
        f"Encoders are ranked by the probe {summary['probe']}. Probes, on features of the frozen encoder in evaluation "
        "mode, without augmentation unless said:",
        *(f"- {name}: {text}" for name, text in summary["probes"].items()),
        *summary.get("protocol", []),
        "std of groups: standard deviation of the recalls of many, medium and few, in points; population: divided by "
        "3, sample: by 2.",
    ]
