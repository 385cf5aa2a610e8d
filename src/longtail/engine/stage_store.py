"""Finished stages by the hash of everything that decided them, shared by the methods that have them in common."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from longtail.engine import state_files
from longtail.facts.json_documents import Rule, violation
from longtail.facts.learner import Learner
from longtail.facts.types import Record

log = logging.getLogger(__name__)

FORMAT = 2
"""Part of a stage's hash, so that stages stored in another format are not loaded."""
NAME = "stage.safetensors"


def unevaluated(stage: dict[str, Any]) -> dict[str, Any]:
    """Return a stored stage without the evaluations in its records."""
    evaluation = ("scores", "evaluation_seconds")
    records = [{k: v for k, v in record.items() if k not in evaluation} for record in stage["records"]]
    return {**stage, "records": records}


def has_scores(stage: dict[str, Any], epochs: int, evaluate_at: Callable[[float], bool]) -> bool:
    """Return whether a stored stage was evaluated after every epoch that is to be."""
    return all("scores" in record for epoch, record in enumerate(stage["records"], 1) if evaluate_at(epoch / epochs))


def save(store: Path, name: str, owner: str, learner: Learner, records: list[Record]) -> None:
    """Store a finished stage under its hash."""
    (store / name).mkdir(parents=True, exist_ok=True)
    stage = {"owner": owner, "hash": name, "learner": learner.state_dict(), "records": records}
    state_files.save(store / name / NAME, stage)


def load(store: Path, name: str, epochs: int) -> dict[str, Any] | None:
    """Return the stage of that hash (owner, learner, records), or None; a damaged one is deleted, with a warning."""
    path = store / name / NAME
    if not path.exists():
        return None
    rules: dict[str, Rule] = {
        "owner": str, "hash": lambda value: value == name, "learner": dict,
        "records": lambda value: isinstance(value, list) and len(value) == epochs,
    }  # fmt: skip
    try:
        stage = state_files.load(path)
        if (wrong := violation(stage, rules)) is None:
            return dict(stage)
        reason = f"{path} is of another training ({wrong})"
    except ValueError as error:
        reason = str(error).partition(";")[0]
    log.warning("%s; training this stage again", reason)
    path.unlink(missing_ok=True)
    return None
