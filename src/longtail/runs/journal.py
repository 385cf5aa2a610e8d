"""What a run in progress leaves: metrics.jsonl, one line per finished epoch, and checkpoint/, which vouches for both.

The checkpoint holds the checksum of the lines it covers and that of the configuration it was made under, so that
neither another run's checkpoint nor a changed line is ever gone on from.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from longtail.engine import state_files
from longtail.facts.json_documents import Rule, checksum, misfit
from longtail.facts.types import Record
from longtail.runs.manifest import LINES

log = logging.getLogger(__name__)

STATE = Path("checkpoint") / "state.safetensors"
_STATE: dict[str, Rule] = {
    "stage": int, "epoch": int, "finished": int, "records": list, "hash": str, "learner": dict, "before": list,
    "config": str, "lines": str,
}  # fmt: skip


class Journal:
    """The lines and the checkpoint of a folder that this process holds.

    Args:
        folder: of the run.
        config: the configuration in force.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self.folder = folder
        self._config = checksum(config)
        self._lines = hashlib.sha256()

    def resume(self) -> dict[str, Any] | None:
        """The state to go on from, with the folder's lines cut to match; None where the run begins anew.

        That is so without a checkpoint, with a damaged one or one of another run, and where lines that it covers
        are gone or changed. Every random number is derived, so beginning anew costs time and changes nothing.

        Raises:
            OSError: the checkpoint cannot be read, or the folder cannot be written.
        """
        state_files.sweep(self.folder)
        path = self.folder / STATE
        path.parent.mkdir(exist_ok=True)  # refused now rather than after an epoch
        lines = _lines(self.folder)
        state, why = self._state(path, lines)
        if why is not None:
            log.warning("%s; beginning this run anew", why)
        kept = lines[: 0 if state is None else state["finished"]]
        whole, there = b"".join(kept), self.folder / LINES
        if there.exists() and there.stat().st_size != len(whole):  # lines to be written again, or half a line
            state_files.write_bytes(there, whole)
        self._lines = hashlib.sha256(whole)
        return state

    def _state(self, path: Path, lines: list[bytes]) -> tuple[dict[str, Any] | None, str | None]:
        """The state, or why there is none to go on from."""
        if not path.exists():
            return None, None
        try:
            state = state_files.load(path)
        except ValueError as error:
            return None, str(error).partition(";")[0]
        if (wrong := misfit(state, _STATE)) is not None:
            return None, f"{path} is no checkpoint of a run ({wrong})"
        if state["config"] != self._config:
            return None, f"{path} is of another run"
        if len(lines) < state["finished"]:
            return None, f"{self.folder / LINES} has lost lines"
        if hashlib.sha256(b"".join(lines[: state["finished"]])).hexdigest() != state["lines"]:
            return None, f"{self.folder / LINES} was changed since the checkpoint was made"
        return dict(state), None

    def add(self, record: Record, state: Mapping[str, Any]) -> None:
        """One finished epoch: its line and the state to go on from.

        Raises:
            OSError: the folder cannot be written; what was there is kept.
        """
        # the line first, then the checkpoint: a line too many is cut on resume, one too few never happens
        self._lines.update(append_record(self.folder, record))
        told = {"config": self._config, "lines": self._lines.hexdigest()}
        state_files.save(self.folder / STATE, {**state, **told})


def append_record(folder: Path, record: Record) -> bytes:
    """One line for one finished epoch; returns it."""
    path, line = folder / LINES, (json.dumps(record, allow_nan=False) + "\n").encode()
    try:
        with open(path, "ab") as file:
            file.write(line)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    return line


def _lines(folder: Path) -> list[bytes]:
    path = folder / LINES
    return [line + b"\n" for line in path.read_bytes().split(b"\n")[:-1]] if path.exists() else []
