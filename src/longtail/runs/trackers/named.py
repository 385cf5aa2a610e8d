"""A tracker by its name, NAME or NAME:PLACE, checked before anything is trained."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from longtail.facts.messages import quoted

NAMES = ("tensorboard", "mlflow", "wandb")
"""The trackers; each is called as the module that it needs."""
URI = "MLFLOW_TRACKING_URI"


class Writer(Protocol):
    """Writes one run to a tracker. Steps are counted from 1; a step that is there already is not written again."""

    def epoch(self, numbers: dict[str, float], step: int) -> None:
        """Write the numbers of one epoch."""
        ...

    def end(self, numbers: dict[str, float], text: str | None = None) -> None:
        """Write the final numbers, and of a comparison its table; the run is finished."""
        ...

    def close(self, *, failed: bool) -> None:
        """Let go of the run: finished, else interrupted or `failed`."""
        ...


@dataclass(frozen=True)
class Tracker:
    """A tracker and its place: a folder, for mlflow also an address, for wandb the name of a project.

    With `local` the place is a folder of the runs', not one that was given.
    """

    name: str
    place: str
    local: bool = False

    def writer(self, name: str, identity: str, group: str, about: dict[str, Any]) -> Writer:
        """Begin or resume a run.

        Args:
            name: of the run, for readers; a folder's name too.
            identity: of the run, which finds it again.
            group: what it belongs to, such as the name of the data.
            about: parameters, flat.
        """
        if self.name == "tensorboard":
            from longtail.runs.trackers.tensorboard import TensorBoard

            return TensorBoard(self.place, name, identity, about)
        if self.name == "mlflow":
            from longtail.runs.trackers.mlflow import MLflow

            return MLflow(self.place, name, identity, group, about)
        from longtail.runs.trackers.wandb import Wandb

        return Wandb(self.place, name, identity, group, about)

    def prepare(self, group: str) -> None:
        """Make what runs share, before several processes would."""
        if self.name == "mlflow":
            from longtail.runs.trackers.mlflow import client, experiment

            experiment(client(self.place), group)

    def below(self, folder: Path | None) -> Tracker:
        """Return the same with the folder of the runs as its place, where none was given; None is `runs`."""
        if self.place:
            return self
        if self.name == "mlflow" and os.environ.get(URI):
            return replace(self, place=os.environ[URI])
        return replace(self, place=str((folder or Path("runs")) / self.name), local=True)


def named(given: str | Tracker | None) -> Tracker | None:
    """Return the tracker that is named; None where none is.

    Args:
        given: "tensorboard", "mlflow" or "wandb", with a place behind a colon or without.

    Raises:
        TypeError: no text.
        ValueError: another name, nothing behind the colon, or a file in place of a folder.
        ModuleNotFoundError: its package is not installed.
    """
    if given is None or isinstance(given, Tracker):
        return given
    if not isinstance(given, str):
        raise TypeError(f"tracker (--tracker) must be text, got {type(given).__name__}; try 'tensorboard'")
    name, colon, place = given.partition(":")
    if name not in NAMES or (colon and not place.strip()):
        raise ValueError(
            f"tracker (--tracker) must be {', '.join(NAMES)}, or one of these with a place, as in "
            f"tensorboard:runs/board, got {quoted(given)}"
        )
    if importlib.util.find_spec(name) is None:
        extra = "wandb" if name == "wandb" else "longtail[track]"
        raise ModuleNotFoundError(f"tracker (--tracker) {name} needs a package that is not installed; install {extra}")
    if name != "wandb" and "://" not in place and Path(place.strip() or ".").is_file():
        raise ValueError(
            f"tracker (--tracker) must write into a folder, got the file {quoted(place)}; name another place"
        )
    return Tracker(name, place.strip())
