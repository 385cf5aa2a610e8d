"""Run folders with the records of trainings, for a comparison written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Records = list[dict[str, Any]]


def records(epochs: int = 4, stage: str = "train", **more: Any) -> Records:
    """A loss that falls as 1 / epoch, with further entries in every record."""
    return [{"stage": stage, "epoch": i, "loss": 1.0 / i, "seconds": 0.5, **more} for i in range(1, epochs + 1)]


def trainings(kinds: int = 3) -> dict[str, Records]:
    """Of each method of `full()`: a plain one with scores, weights, a weight net, guessed labels in two stages."""
    scored = [one | {"scores": {"balanced_accuracy": 0.2 * one["epoch"]}} for one in records()]
    weights = [[1.0, 0.5, None], [1.0, 2.0, 4.0], [1.0, 2.0, 5.0]]
    weighted = [one | {"mean_weights": w} for one, w in zip(records(3), weights[:kinds], strict=True)]
    net = [one | {"weight_net": {"losses": [0.0, 2.0], "weights": [0.5, 0.5 + one["epoch"] / 10]}} for one in records()]
    guessed = [
        *records(2, "first", confident=0.25, prior_distance=0.5),
        *records(2, "second", confident=0.75, changed=0.1),
    ]
    return {"ce": scored, "ldam": weighted, "focal": net, "mixup": guessed, "oracle": scored}


def write_trainings(folder: Path, summary: dict[str, Any], of: dict[str, Records]) -> dict[str, Any]:
    """Write metrics.jsonl of the first run of each row, in the order of `of`, and name the folders in the rows."""
    for i, (row, lines) in enumerate(zip(summary["rows"], of.values(), strict=False)):
        row["runs"] = [{"seed": 0, "seconds": 2.0, "folder": f"run-{i}/seed-0"}, {"seed": 1, "seconds": 3.0}]
        place = folder / row["runs"][0]["folder"]
        place.mkdir(parents=True)
        (place / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return summary
