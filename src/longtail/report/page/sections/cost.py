"""What each method costs in seconds, and whose training it shares."""

from __future__ import annotations

from longtail.report.page.elements import joined, paragraphs, table
from longtail.report.page.page import LONGEST, Page, Row, Section
from longtail.report.printable import shown
from longtail.report.rows import UNKNOWN, context, shares
from longtail.report.searches import about_searches


def section(page: Page) -> Section | None:
    """None where no run finished."""
    if not page.rows:
        return None
    plain = next((row["seconds"] for row in page.rows if row["method"] == page.reference), None)
    compared = bool(plain) and len(page.rows) > 1
    times = [f"times {shown(page.reference)}"] if compared else []
    head = ["method", "seconds a run", "from .. to", *times, "training"]
    lines = [head, *(_line(page, row, plain if compared else None) for row in page.rows)]
    marks = ["context" if context(row) else "reference" if row["method"] == page.reference else "" for row in page.rows]
    sides = "<" + ">" * (len(head) - 2) + "<"
    content = table(lines, sides, "Seconds of each method, means over its runs", classes=marks)
    return Section("cost", "Cost in seconds", joined([content, paragraphs(_about(page))]))


def _line(page: Page, row: Row, plain: float | None) -> list[str]:
    seconds = [run["seconds"] for run in row["runs"] if "seconds" in run]
    span = f"{_number(min(seconds))} .. {_number(max(seconds))}" if len(seconds) > 1 else UNKNOWN
    times = [] if plain is None else [f"{row['seconds'] / plain:.2f}"]
    return [shown(row["method"], longest=LONGEST), _number(row["seconds"]), span, *times, _training(page, row)]


def _training(page: Page, row: Row) -> str:
    """Whose training the row has, and its stages."""
    if not shares(row):
        epochs = row.get("epochs") or {}
        own = " + ".join(f"{count} {shown(stage)}" for stage, count in epochs.items())
        return f"its own: {own} epochs" if own else "its own"
    whose = _trainer(page, row)
    alike = "" if row["retrains"] else ", and trains nothing more"
    return f"begins with that of {whose}{alike}"


def _trainer(page: Page, row: Row) -> str:
    """The method in one of whose folders the shared training is."""
    folders = {run["folder"]: other["method"] for other in page.rows for run in other["runs"] if "folder" in run}
    return shown(folders.get(row["reuses"], "another row"), longest=LONGEST)


def _about(page: Page) -> list[str]:
    several = [
        "Seconds of training and of writing the result, as measured while other runs may have been training beside."
    ]
    if any(map(shares, page.rows)):
        several.append("Those of a row that shares a training include it, though it was trained once.")
    return [" ".join(several), *about_searches(page.summary), "Memory was not recorded."]


def _number(seconds: float) -> str:
    """One decimal, and two digits of what is shorter than a second."""
    return f"{seconds:,.1f}" if seconds >= 1 else f"{seconds:.2g}"
