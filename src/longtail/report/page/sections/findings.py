"""What `longtail inspect` found in the data, as numbered checks."""

from __future__ import annotations

from collections.abc import Iterable

from longtail.facts.messages import quoted
from longtail.report.page.page import Page, Section, Summary
from longtail.report.page.templating import fill


def section(page: Page) -> Section | None:
    """None where nothing was looked for; that nothing was found is said."""
    found = page.summary.get("findings")
    if found is None:
        return None
    shown = [finding for finding in found if finding["code"] not in page.ignored]
    left_out = sorted({finding["code"] for finding in found} & page.ignored)
    return Section("findings", "Findings in the data", fill("findings.html", findings=shown, left_out=left_out))


def checked_codes(ignore: Iterable[str], summary: Summary) -> frozenset[str]:
    """The codes to leave out.

    Raises:
        ValueError: one that is no finding of this page.
    """
    known = sorted({finding["code"] for finding in summary.get("findings") or ()})
    codes = frozenset(code.strip().upper() for code in ignore)
    unknown = sorted(codes - set(known))
    if unknown:
        has = f"this report has {', '.join(known)}" if known else "this report has no findings; leave --ignore out"
        raise ValueError(f"--ignore must name codes of findings, got {quoted(unknown[0])}; {has}")
    return codes
