"""Weights & Biases, offline unless WANDB_MODE says otherwise: a run of a project, for `wandb sync` to send."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from longtail.facts import files, json_documents

PROJECT = "longtail"


class Wandb:
    """One run. How many epochs were logged is kept in a file beside it, since offline runs cannot be read back.

    Args:
        place: the name of the project, or the folder of the runs, whose project is called longtail.
        name, identity, about: of the run.
        group: what it belongs to.
    """

    def __init__(self, place: str, name: str, identity: str, group: str, about: dict[str, Any]) -> None:
        os.environ.setdefault("WANDB_MODE", "offline")
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        os.environ.setdefault("WANDB_SILENT", "true")
        import wandb

        folder = Path(place) if os.sep in place else Path("runs") / "wandb"
        folder.mkdir(parents=True, exist_ok=True)
        self._count = folder / f"longtail-{identity}.json"
        self._logged = int(json_documents.parse(self._count.read_bytes())["epochs"]) if self._count.exists() else 0
        self._run: Any = wandb.init(
            project=PROJECT if os.sep in place else place, dir=str(folder), id=identity, name=name, group=group,
            config=about, resume="allow", reinit="create_new",
        )  # fmt: skip

    def epoch(self, numbers: dict[str, float], step: int) -> None:
        """Log the numbers of one epoch, unless it was logged before."""
        if step <= self._logged:
            return
        self._run.log(numbers, step=step)
        self._logged = step
        files.write_json(self._count, {"epochs": step})

    def end(self, numbers: dict[str, float], text: str | None = None) -> None:
        """Set the final numbers, and a table, in the run's summary."""
        self._run.summary.update({**numbers, **({} if text is None else {"comparison": text})})

    def close(self, *, failed: bool) -> None:
        """Finish the run."""
        self._run.finish(exit_code=1 if failed else 0)
