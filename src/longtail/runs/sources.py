"""sources.json: the file and row behind every row of the data, written once for all runs of a comparison."""

from __future__ import annotations

import json
from pathlib import Path

from longtail.data.origin import Origin
from longtail.facts import files

FILE = "sources.json"
LEVELS = 3
"""How many folders above a run's own may have the file: OUT/<method>/seed-<k>/fold-<j>."""


def write(folder: Path, origin: Origin | None) -> None:
    """Write the file into a run's folder, unless the same is in a folder above."""
    if origin is not None and _search(folder, origin.digest) is None:
        files.write_json(folder / FILE, origin.to_json())


def write_shared(folder: Path, origin: Origin | None) -> None:
    """Write the file into the folder of a comparison, unless it has one, to which some of its runs may refer."""
    if origin is not None and not (folder / FILE).exists():
        files.write_json(folder / FILE, origin.to_json())


def load_origin(folder: Path, digest: str | None) -> Origin:
    """Return where the rows of a run's data come from, by the digest in its run.json.

    Raises:
        ValueError: the run has no digest, or the file is missing or was changed.
    """
    if digest is None:
        raise ValueError(
            f"{folder} does not say where its rows come from: the data were given as splits, or longtail was older; "
            "its index counts the rows of the test part"
        )
    if (origin := _search(folder, digest)) is None:
        raise ValueError(
            f"no {FILE} in {folder} or above is the one that the run was written with; restore it, or delete the "
            "run's folder and run the same command again"
        )
    return origin


def _search(folder: Path, digest: str) -> Origin | None:
    for place in (folder, *folder.absolute().parents[:LEVELS]):
        try:
            origin = Origin.from_json(json.loads((place / FILE).read_text()))
        except (OSError, ValueError, RecursionError):
            continue  # no such file here, or another kind of file
        if origin.digest == digest:
            return origin
    return None
