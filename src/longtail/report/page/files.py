"""Write the page: from a folder, or beside the comparison that it is of."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from longtail.facts.files import write_text
from longtail.facts.messages import quoted
from longtail.report import page

NAME = "report.html"
ENDINGS = (".html", ".htm")


def write_report(folder: Path, out: Path | None = None, ignore: Iterable[str] = ()) -> tuple[Path, int]:
    """Read a folder and write its page; return the file and its size in bytes.

    Args:
        folder: of a comparison, or of one run.
        out: the file; None is report.html in the folder.
        ignore: codes of findings that are left out.

    Raises:
        ValueError: the folder holds neither, or `out` is no name of a page.
        ModuleNotFoundError: without longtail[report].
    """
    from longtail.report.page.reading import read

    target = checked_target(out if out is not None else folder / NAME)
    return target, write_page(target, read(folder), folder, ignore)


def write_page(target: Path, summary: dict[str, Any], folder: Path | None, ignore: Iterable[str] = ()) -> int:
    """Render and write; return the size in bytes."""
    text = page.render(summary, folder, ignore)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(target, text)
    return len(text.encode())


def checked_target(out: Path, name: str = "--out") -> Path:
    """The file to write; `name` is that of the argument.

    Raises:
        ValueError: it is a folder, or its name is not that of a page.
    """
    if out.suffix.lower() not in ENDINGS:
        raise ValueError(
            f"{name} must be the name of a page, such as report.html, got {quoted(str(out))}; end it in .html"
        )
    if out.is_dir():
        raise ValueError(f"{name} must be a file, got the folder {quoted(str(out))}; name a file in it")
    return out
