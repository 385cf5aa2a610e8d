"""The report: one page of HTML that needs nothing else, neither a network nor a script.

`render(summary, folder)` makes it from the content of comparison.json; each part of the page is a file of `sections/`.
It needs jinja2, which is imported when the first page is rendered.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def render(summary: dict[str, Any], folder: Path | None = None, ignore: Iterable[str] = ()) -> str:
    """Return the page as HTML.

    Args:
        summary: the content of comparison.json, or what `single_run.summary_of_run` makes of a run folder.
        folder: with the run folders that the summary names; None where they are gone, then what is drawn from their
            files is left out.
        ignore: codes of findings to leave out, such as "LT003"; the page names those that it would have had.

    Raises:
        ModuleNotFoundError: without longtail[report].
    """
    check_installed()
    from longtail.report.page import document

    return document.render(summary, folder, ignore)


def check_installed() -> None:
    """Refuse where jinja2 is missing, before any work.

    Raises:
        ModuleNotFoundError: without longtail[report].
    """
    if find_spec("jinja2") is None:
        raise ModuleNotFoundError("a report needs jinja2; install longtail[report]", name="jinja2")
