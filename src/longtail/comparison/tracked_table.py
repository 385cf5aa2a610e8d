"""The table of a comparison as one more run of its tracker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from longtail.facts import files
from longtail.report import tables
from longtail.runs.trackers import Tracker, Tracking


def track_table(tracker: Tracker, out: Path, summary: dict[str, Any]) -> None:
    """Write the table in Markdown and the mean of every method to a run called `comparison`; harmless where it fails.

    Args:
        tracker: where to.
        out: the folder of the comparison.
        summary: the content of comparison.json.
    """
    metric = summary["metric"]
    means = {row["method"]: row["mean"].get(metric) for row in summary["rows"]}
    about = {"metric": metric, "reference": summary["reference"], "seeds": len(summary["seeds"])}
    identity = files.json_checksum(["comparison", str(out.resolve())])[:16]
    tracking = Tracking(tracker.below(out), "comparison", identity, summary["data"]["name"], about)
    tracking.end({f"{metric}/{method}": value for method, value in means.items() if value is not None},
                 tables.markdown(summary))  # fmt: skip
