"""A run in progress: metrics.jsonl with one line per finished epoch, and checkpoint/, which vouches for the lines.

Lines are written at once, checkpoints by the clock: an epoch of a small network takes less time than its checkpoint.

The checkpoint holds the checksum of the lines before it and that of the configuration it was made under, so that a
run is never resumed from another run's checkpoint or after a changed line.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from longtail.engine import state_files
from longtail.facts import files
from longtail.facts.json_documents import Rule, checksum, violation
from longtail.facts.types import Record
from longtail.runs.manifest import LINES

log = logging.getLogger(__name__)

STATE = Path("checkpoint") / "state.safetensors"
SECONDS = 1.0
"""Between two checkpoints at least: what a killed process loses at most, an unfinished epoch apart."""
VARIABLE = "LONGTAIL_CHECKPOINT_SECONDS"
"""The environment variable that sets it; 0 is a checkpoint after every epoch."""
SHARE = 0.05
"""Of the time that checkpoints may take; a large network on a slow disk has fewer."""
_STATE: dict[str, Rule] = {
    "stage": int, "epoch": int, "finished": int, "records": list, "hash": str, "learner": dict, "before": list,
    "config": str, "lines": str,
}  # fmt: skip


class Journal:
    """The lines and the checkpoint of a folder that this process has locked.

    Args:
        folder: of the run.
        config: the configuration in force.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self.folder = folder
        self._config = checksum(config)
        self._lines = hashlib.sha256()
        self._behind = False  # there are lines after the checkpoint
        self._seconds = _seconds()
        self._due = time.monotonic() + self._seconds

    def resume(self) -> dict[str, Any] | None:
        """Return the state to resume from, with the folder's lines cut to match; None where the run starts afresh.

        It does so without a checkpoint, with a damaged one or one of another run, and where lines before it are
        missing or changed. Every random number is derived, so starting afresh costs time and changes no result.

        Raises:
            OSError: the checkpoint cannot be read, or the folder cannot be written.
        """
        checkpoint, metrics = self.folder / STATE, self.folder / LINES
        checkpoint.parent.mkdir(exist_ok=True)  # refused now rather than after an epoch
        lines = [line + b"\n" for line in metrics.read_bytes().split(b"\n")[:-1]] if metrics.exists() else []
        state, reason = self._state(checkpoint, lines)
        if reason is not None:
            log.warning("%s; beginning this run anew", reason)
        content = b"".join(lines[: 0 if state is None else state["finished"]])
        if metrics.exists() and metrics.stat().st_size != len(content):  # later lines, or half a line
            files.write_bytes(metrics, content)
        self._lines = hashlib.sha256(content)
        return state

    def _state(self, path: Path, lines: list[bytes]) -> tuple[dict[str, Any] | None, str | None]:
        """The state, or the reason why there is none to resume from."""
        if not path.exists():
            return None, None
        try:
            state = state_files.load(path)
        except ValueError as error:
            return None, str(error).partition(";")[0]
        if (wrong := violation(state, _STATE)) is not None:
            return None, f"{path} is no checkpoint of a run ({wrong})"
        if state["config"] != self._config:
            return None, f"{path} is of another run"
        if len(lines) < state["finished"]:
            return None, f"{self.folder / LINES} has lost lines"
        if files.checksum(*lines[: state["finished"]]) != state["lines"]:
            return None, f"{self.folder / LINES} was changed since the checkpoint was made"
        return dict(state), None

    def add(self, record: Record, state: Callable[[], Mapping[str, Any]]) -> None:
        """Write the line of one finished epoch and, where one is due, a checkpoint.

        Args:
            record: of the epoch.
            state: returns the state to resume from; called where it is written.

        Raises:
            OSError: the folder cannot be written; its files are as before.
        """
        # the line first, then the checkpoint: resuming cuts lines too many, a line too few never happens
        self._lines.update(append_record(self.folder, record))
        self._behind = True
        if time.monotonic() >= self._due:
            self.write_checkpoint(state)

    def write_checkpoint(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Write the state to resume from, unless the checkpoint has all lines already."""
        if not self._behind:
            return
        start = time.monotonic()
        checksums = {"config": self._config, "lines": self._lines.hexdigest()}
        state_files.save(self.folder / STATE, {**state(), **checksums})
        end = time.monotonic()
        pause = max(self._seconds, (end - start) / SHARE) if self._seconds else 0.0
        self._behind, self._due = False, end + pause


def _seconds() -> float:
    """The seconds between checkpoints.

    Raises:
        ValueError: the environment variable is no number of seconds.
    """
    given = os.environ.get(VARIABLE)
    try:
        seconds = SECONDS if given is None else float(given)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{VARIABLE} must be a number of seconds, 0 or more, got {given!r}; unset it for {SECONDS:g}")
    return seconds


def append_record(folder: Path, record: Record) -> bytes:
    """Append the line of one finished epoch, and return it."""
    path, line = folder / LINES, (json.dumps(record, allow_nan=False) + "\n").encode()
    with files.naming(path), open(path, "ab") as file:
        file.write(line)
    return line
