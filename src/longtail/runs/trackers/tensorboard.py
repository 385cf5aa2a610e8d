"""TensorBoard: an events file a run, in a folder of its own below the place."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

EVENTS = "events.out.tfevents.*"


class TensorBoard:
    """One run as an events file, written anew when it is resumed: the lines of the run's folder have all epochs.

    Args:
        place: the folder that `tensorboard --logdir` takes.
        name, identity, about: of the run.
    """

    def __init__(self, place: str, name: str, identity: str, about: dict[str, Any]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from torch.utils.tensorboard import SummaryWriter
        folder = Path(place) / f"{name}-{identity[:6]}"
        for old in folder.glob(EVENTS):  # of this very run, by its identity
            old.unlink()
        self._about = about
        self._writer: Any = SummaryWriter(str(folder))
        shown = json.dumps(about, indent=2, sort_keys=True)
        self._writer.add_text("configuration", "\n".join(f"    {line}" for line in shown.splitlines()), 0)

    def epoch(self, numbers: dict[str, float], step: int) -> None:
        """Add the scalars of one epoch."""
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def end(self, numbers: dict[str, float], text: str | None = None) -> None:
        """Add the final numbers, beside the parameters where TensorBoard shows HPARAMS, and a table."""
        if text is not None:
            self._writer.add_text("comparison", text, 0)
        if numbers:
            self._writer.add_hparams(self._about, numbers, run_name=".")

    def close(self, *, failed: bool) -> None:
        """Write what is buffered."""
        self._writer.close()
