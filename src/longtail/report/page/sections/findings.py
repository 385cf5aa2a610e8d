"""What `longtail inspect` finds in the data, as numbered checks."""

from __future__ import annotations

from longtail.report.page.page import Page, Section
from longtail.report.page.templating import fill


def section(page: Page) -> Section | None:
    """None where nothing was looked for; that nothing was found is said, and so is what was left out."""
    found = page.summary.get("findings")
    if found is None:
        return None
    shown = [finding for finding in found if finding["code"] not in page.ignored]
    left_out = sorted({finding["code"] for finding in found} & page.ignored)
    return Section("findings", "Findings in the data", fill("findings.html", findings=shown, left_out=left_out))
