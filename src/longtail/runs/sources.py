"""sources.json: what the index of predictions leads back to; kept once for all runs of a comparison."""

from __future__ import annotations

import json
from pathlib import Path

from longtail.data.origin import Origin
from longtail.engine import state_files

FILE = "sources.json"
ABOVE = 3
"""How far above a run's folder the file may stand: OUT/<method>/seed-<k>/fold-<j>."""


def keep(folder: Path, origin: Origin) -> None:
    """Write the file into a run's folder, unless a folder above holds the same."""
    if _holding(folder, origin.digest) is None:
        state_files.write_json(folder / FILE, origin.to_json())


def share(folder: Path, origin: Origin | None) -> None:
    """Write the file into the folder of many runs, unless it has one, which some of them may go by."""
    if origin is not None and not (folder / FILE).exists():
        state_files.write_json(folder / FILE, origin.to_json())


def load_origin(folder: Path, digest: str | None) -> Origin:
    """What the rows of a run's data are, by the digest in its run.json.

    Raises:
        ValueError: the run has none, or the file is gone or was changed.
    """
    if digest is None:
        raise ValueError(
            f"{folder} does not say where its rows come from: the data were given as splits, or longtail was older; "
            "its index counts the rows of the test part"
        )
    if (origin := _holding(folder, digest)) is None:
        raise ValueError(
            f"no {FILE} in {folder} or above is the one that the run was left with; restore it, or delete the run's "
            "folder and run the same command again"
        )
    return origin


def _holding(folder: Path, digest: str) -> Origin | None:
    for place in (folder, *folder.absolute().parents[:ABOVE]):
        try:
            origin = Origin.from_json(json.loads((place / FILE).read_text()))
        except (OSError, ValueError, RecursionError):
            continue  # none there, or none of ours
        if origin.digest == digest:
            return origin
    return None
