"""What lies in a folder of runs: every run with its state, scores and size, and what a finished one no longer needs."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longtail.engine import stage_store
from longtail.engine.lock import NAME as LOCK
from longtail.engine.lock import exclusive
from longtail.facts import json_documents
from longtail.facts.json_documents import DamagedError
from longtail.runs import manifest
from longtail.runs.journal import STATE
from longtail.runs.manifest import CONFIG, RUN
from longtail.runs.model_files import FOLD
from longtail.runs.search import FOLDER as SEARCH

FINISHED, UNFINISHED, DAMAGED = "finished", "unfinished", "damaged"
STAGES = "stages"
PARTS = (f"{FOLD}*", f"{SEARCH}/*", f"{FOLD}*/{SEARCH}/*")
"""Where a run has further runs that are parts of it."""
INSIDE = (STAGES, SEARCH, STATE.parent.name)
DEEPEST = 8
"""Folders below the one that is named; a run is at most four below a folder of comparisons."""


@dataclass(frozen=True)
class Entry:
    """One run folder, or the stages that the runs of a comparison share (`method` is None).

    Args:
        folder: of the run, or of the comparison.
        state: "finished", "unfinished" or "damaged"; of shared stages "finished" where all runs of the comparison are.
        size: bytes of all files below it.
        files: what can be removed: checkpoints and stages of a finished run, by path; empty of any other.
        freed: bytes of these.
        changed: seconds since 1970 of the last change of a file.
        method, data, seed, scores: of the run; None where they are not known, `scores` also where nothing was scored.
        reason: why it is damaged, or which process seems to be running it.
    """

    folder: Path
    state: str
    size: int
    files: tuple[Path, ...]
    freed: int
    changed: float
    method: str | None = None
    data: str | None = None
    seed: int | None = None
    scores: dict[str, Any] | None = None
    every_row: bool = False
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, without the names of the files."""
        scores = None if self.scores is None else {name: self.scores[name] for name in manifest.DECIDED}
        return {
            "folder": str(self.folder), "state": self.state, "method": self.method, "data": self.data,
            "seed": self.seed, "scores": scores, "every_row": self.every_row, "size": self.size, "freed": self.freed,
            "changed": self.changed, "reason": self.reason,
        }  # fmt: skip


def entries(folder: str | Path) -> list[Entry]:
    """Return every run below a folder, or the run that it is, and shared stages; symbolic links are not followed.

    The runs of folds and of a search belong to the run that they are part of. A finished run is verified: every file
    of it is read and compared with its checksum.

    Raises:
        ValueError: the folder does not exist, or is none.
    """
    place = Path(folder)
    if not place.is_dir():
        raise ValueError(f"{str(place)!r} is not a folder; name one that holds runs, such as runs")
    found: list[Entry] = []
    for one in _folders(place, DEEPEST):
        found += [_run(one)] if _is_run(one) else _shared(one)
    return found


def clean(entry: Entry) -> int:
    """Remove what a finished run no longer needs; return the bytes freed.

    The run is locked and verified again before that; files that longtail did not make stay, and so do folders that
    hold any.

    Raises:
        ValueError: another process uses the folder.
        OSError: a file cannot be removed.
    """
    if not entry.files:
        return 0
    if entry.method is None:
        with exclusive(entry.folder.parent):  # the comparison's
            return sum(_remove(one.files) for one in _shared(entry.folder.parent))
    with exclusive(entry.folder):
        return _remove(_run(entry.folder).files)


def _remove(files: tuple[Path, ...]) -> int:
    freed = 0
    for path in files:
        size = path.lstat().st_size
        path.unlink()
        freed += size
    for place in sorted({parent for path in files for parent in path.parents[:2]}, key=lambda p: -len(p.parts)):
        if place.name in (STAGES, STATE.parent.name) or place.parent.name == STAGES:
            with suppress(OSError):  # not empty: what is in it is not ours
                place.rmdir()
    return freed


def _folders(place: Path, depth: int) -> Iterator[Path]:
    """Yield run folders and comparisons, parents first, without the parts of a run."""
    if (place / CONFIG).is_file() or (place / RUN).is_file():
        yield place
    if depth:
        for child in sorted(place.iterdir()):
            part = child.name in INSIDE or child.name.startswith(FOLD)
            if child.is_dir() and not child.is_symlink() and not part:
                yield from _folders(child, depth - 1)


def _is_run(place: Path) -> bool:
    if (place / RUN).is_file():
        return True
    config = _parsed(place / CONFIG)
    return "method" in config and "seed" in config


def _run(place: Path) -> Entry:
    size, changed = _measured(place)
    config = _parsed(place / CONFIG)
    data = config.get("data") if isinstance(config.get("data"), dict) else {}
    known: dict[str, Any] = {
        "method": str(config.get("method", "unknown")), "data": (data or {}).get("name"), "seed": config.get("seed"),
    }  # fmt: skip
    if not (place / RUN).is_file():
        return Entry(place, UNFINISHED, size, (), 0, changed, reason=_holder(place), **known)
    try:
        result = manifest.verify(place)[1]
    except (DamagedError, ValueError, OSError) as error:
        reason = error.reason if isinstance(error, DamagedError) else str(error)
        return Entry(place, DAMAGED, size, (), 0, changed, reason=reason, **known)
    files = tuple(_of_run(place))
    freed = sum(path.stat().st_size for path in files)
    every_row = result.get("trained_on") == "every row"
    return Entry(place, FINISHED, size, files, freed, changed, scores=result["scores"], every_row=every_row, **known)


def _shared(place: Path) -> list[Entry]:
    """The stages that the runs of a comparison share; [] where there are none."""
    files = tuple(_stages(place / STAGES))
    if not files:
        return []
    runs = [one for one in _folders(place, DEEPEST) if _is_run(one)]
    whole = bool(runs) and not _unbegun(place, len(runs)) and all(_run(one).state == FINISHED for one in runs)
    size, changed = sum(path.stat().st_size for path in files), max(path.stat().st_mtime for path in files)
    state, removable = (FINISHED, files) if whole else (UNFINISHED, ())
    return [Entry(place / STAGES, state, size, removable, size if whole else 0, changed)]


def _unbegun(place: Path, runs: int) -> bool:
    """Whether a comparison has runs that have not begun: methods times seeds."""
    config = _parsed(place / CONFIG)
    methods, seeds = config.get("methods"), config.get("seeds")
    return isinstance(methods, list) and isinstance(seeds, list) and runs < len(methods) * len(seeds)


def _of_run(place: Path) -> Iterator[Path]:
    """Yield checkpoints and stages of a finished run, and of the folds and candidates that are parts of it."""
    parts = [path.parent for pattern in PARTS for path in sorted(place.glob(f"{pattern}/{RUN}"))]
    for one in (place, *parts):
        between = [one, *(parent for parent in one.parents if place in parent.parents)]
        if one != place and any(path.is_symlink() for path in between):
            continue
        state = one / STATE
        if state.is_file() and not state.is_symlink() and not state.parent.is_symlink():
            yield state
        yield from _stages(one / STAGES)


def _stages(store: Path) -> Iterator[Path]:
    if store.is_dir() and not store.is_symlink():
        for path in sorted(store.glob(f"*/{stage_store.NAME}")):
            if path.is_file() and not path.is_symlink() and not path.parent.is_symlink():
                yield path


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return json_documents.read(path, "")
    except (OSError, ValueError):
        return {}


def _measured(place: Path) -> tuple[int, float]:
    """Return the bytes of all files below a folder, and the time of the last change."""
    size, changed = 0, place.lstat().st_mtime
    for folder, _, names in os.walk(place):
        for name in names:
            with suppress(OSError):  # removed meanwhile
                state = os.lstat(os.path.join(folder, name))
                size, changed = size + state.st_size, max(changed, state.st_mtime)
    return size, changed


def _holder(place: Path) -> str | None:
    """The process that seems to be running an unfinished run: the one that signed its lock, while it lives here."""
    with suppress(OSError, ValueError):
        words = (place / LOCK).read_text(errors="replace")[:200].split()
        if len(words) == 5 and words[4] == platform.node():
            os.kill(int(words[1]), 0)
            return f"process {words[1]} seems to be running it"
    return None
