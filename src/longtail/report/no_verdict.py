"""The sentence in place of a verdict where nothing could be compared."""

from __future__ import annotations

from typing import Any

from longtail.report.rows import context


def no_verdict(summary: dict[str, Any]) -> str:
    """Return why there is no verdict: the reference alone was asked for, or runs did not finish."""
    rows, reference = summary["rows"], summary["reference"]
    asked = [row["method"] for row in rows if not context(row)]
    if asked == [reference] and not summary["missing"]:
        encoders = [row["method"] for row in rows if context(row) and row.get("probes")]
        another = f" {encoders[0]}" if encoders else " METHOD"
        return (
            f"No verdict: {reference} is the reference, and no other method was named to compare with it; name more "
            f"(--methods), or another reference (--baseline{another})."
        )
    alike = "" if all(row.get("comparable", True) for row in rows) else f" under the recipe of {reference}"
    return f"No verdict: it needs finished runs of {reference} and of another method{alike}."
