"""The command that made this, and the versions that it ran with."""

from __future__ import annotations

from longtail.report.page.page import Page, Section
from longtail.report.page.templating import fill


def section(page: Page) -> Section | None:
    """None where neither was recorded, as in a comparison of an older version."""
    command, versions = page.summary.get("command"), page.summary.get("versions")
    if not command and not versions:
        return None
    # a folder may have been extended by further commands
    lines = [*page.summary.get("earlier_commands", []), *([command] if command else [])]
    return Section(
        "commands", "Command and versions", fill("commands.html", lines=lines, versions=dict(versions or {}))
    )
