"""The command line of a benchmark, and the file of its result."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from longtail.facts.files import write_json

RESULTS = Path("benchmarks/results")


def argument_parser(doc: str | None, out: str | None = None) -> argparse.ArgumentParser:
    """Return a parser with --out, described by the first line of a module's docstring.

    Args:
        doc: the docstring.
        out: name of the result below benchmarks/results; None writes no file by default.
    """
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=None if out is None else RESULTS / out, help="file of the result")
    return parser


def save(out: Path | None, result: dict[str, Any]) -> None:
    """Write a result as JSON, its folder too; None writes nothing."""
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_json(out, result)
