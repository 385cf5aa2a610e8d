"""Finished stages, each under the hash of everything that decided it, shared by the methods that have it in common."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from longtail.engine import state_files
from longtail.facts.json_documents import Rule, violation
from longtail.facts.learner import Learner
from longtail.facts.types import Record

log = logging.getLogger(__name__)

FORMAT = 2
"""Part of a stage's hash, so that stages stored in another form are never found."""
NAME = "stage.safetensors"


def keep(store: Path, name: str, owner: str, learner: Learner, records: list[Record]) -> None:
    """Store a finished stage under its hash."""
    (store / name).mkdir(parents=True, exist_ok=True)
    stage = {"owner": owner, "hash": name, "learner": learner.state_dict(), "records": records}
    state_files.save(store / name / NAME, stage)


def stored(store: Path, name: str, epochs: int) -> dict[str, Any] | None:
    """The stage of that hash: owner, learner, records; None where it is not there, or not whole, which is said."""
    path = store / name / NAME
    if not path.exists():
        return None
    rules: dict[str, Rule] = {
        "owner": str, "hash": lambda value: value == name, "learner": dict,
        "records": lambda value: isinstance(value, list) and len(value) == epochs,
    }  # fmt: skip
    try:
        stage = state_files.load(path)
        wrong = violation(stage, rules)
        told = f"{path} is of another training ({wrong})"
    except ValueError as error:
        stage, wrong, told = None, "damaged", str(error).partition(";")[0]
    if wrong is None:
        return dict(stage)
    log.warning("%s; training this stage again", told)
    path.unlink(missing_ok=True)
    return None
