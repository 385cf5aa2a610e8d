"""The output folder of a comparison: whether it can be written, and which comparison its config.json names."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from longtail.catalogue.tasks import SUPERVISED
from longtail.data.origin import Origin
from longtail.facts import json_documents
from longtail.facts.json_documents import DamagedError, OutdatedError, Rule, is_list_of
from longtail.runs import sources
from longtail.runs.run import first_difference

log = logging.getLogger(__name__)

SCHEMA = 2
"""Version of config.json; 1 had no checksum."""
IDENTITY = ("data", "recipe", "task", "select")
CONFIG = "config.json"
WAY_OUT = "delete that file and run the same command again; finished runs are checked and kept"
_RULES: dict[str, Rule] = {
    "data": dict, "recipe": dict, "methods": is_list_of(str),
    "seeds": lambda value: isinstance(value, list) and value == list(range(len(value))),
}  # fmt: skip


def make_output_folder(out: Path, option: str = "--out") -> None:
    """Make an output folder before any work; `option` is its name in the user's command.

    Raises:
        ValueError: it cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise _unwritable(out, error, option) from None


def write_config(out: Path, config: dict[str, Any], origin: Origin | None) -> None:
    """Write config.json, and the origin of the rows for all runs.

    Raises:
        ValueError: the folder cannot be written.
    """
    make_output_folder(out)
    try:
        json_documents.write_sealed(out / CONFIG, {"schema_version": SCHEMA, **config})
        sources.write_shared(out, origin)
    except OSError as error:
        raise _unwritable(out, error) from None


def stored_config(out: Path, asked: dict[str, Any], folders: Collection[Path]) -> dict[str, Any] | None:
    """Read config.json; None where the folder has no valid one and no runs beyond those asked for.

    Args:
        out: the output folder.
        asked: the configuration asked for.
        folders: the run folders asked for.

    Raises:
        ValueError: another comparison, or runs beyond those asked for without a valid config.json.
    """
    path, asked = out / CONFIG, json.loads(json.dumps(asked))
    try:
        stored = json_documents.read_sealed(path, SCHEMA, _RULES, WAY_OUT)
        _check_same(out, stored, asked)
        return stored
    except OutdatedError as error:
        if (
            json_documents.violation(outdated := json_documents.read(path, WAY_OUT), {"data": dict, "recipe": dict})
            is None
        ):
            _check_same(out, outdated, asked)
        reason = error.reason
    except DamagedError as error:
        reason = error.reason
    runs = set(out.glob("*/seed-*"))
    beyond = sorted(runs - set(folders))
    if beyond:
        raise ValueError(
            f"{reason}, and {out} holds runs beyond what was asked, such as {beyond[0].relative_to(out)}; "
            "name all its methods and seeds, in their first order, or choose another --out"
        )
    if runs:
        log.warning("%s; going on with the methods and seeds that were asked for", reason)
    elif path.exists():
        log.warning("%s; writing it anew", reason)
    return None


def _check_same(out: Path, stored: dict[str, Any], asked: dict[str, Any]) -> None:
    # before there were tasks, all comparisons were supervised
    difference = first_difference({"task": SUPERVISED, **stored}, asked, IDENTITY)
    if difference is not None:
        where, theirs, ours = difference
        raise ValueError(
            f"{out} holds another comparison: {where} is {theirs!r} there, {ours!r} was asked; "
            "choose another --out or delete the folder"
        )


def _unwritable(out: Path, error: OSError, option: str = "--out") -> ValueError:
    return ValueError(f"{option} {out} cannot be written ({error.strerror}); choose another folder or free space there")
