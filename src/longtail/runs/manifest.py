"""A finished run as evidence: run.json vouches for every file of the run, and the scores follow from the predictions.

Nothing of a finished run is believed because it is there: its files must have the checksums of run.json, which has
one of its own, and what is told of the run is computed from its predictions anew.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

from longtail.engine import state_files
from longtail.facts import json_documents
from longtail.facts.json_documents import DamagedError, Rule, is_amount, is_list_of
from longtail.metrics import evaluate
from longtail.runs import priors
from longtail.runs.model_files import LINKS

SCHEMA = 2
"""Of config.json and run.json; 1 had no checksums, so that nothing of it can be believed."""
RUN, CONFIG, LINES, PREDICTIONS = "run.json", "config.json", "metrics.jsonl", "predictions.safetensors"
WAY_OUT = "run the same command again, which does this run anew, or copy the folder again"
DECIDED = ("accuracy", "balanced_accuracy", "macro_f1")
"""Scores that follow from the decisions alone, which no version of torch computes otherwise."""

_NAME = re.compile(r"(fold-\d+/run\.json|[\w-][\w.-]*)")
_RESULT: dict[str, Rule] = {
    "method": str, "key": str, "reference": str, "retrains": bool, "seed": int, "reuses": (str, type(None)),
    "seconds": is_amount, "scores": dict, "link": lambda value: value in LINKS, "hashes.data": str, "folds?": int,
    "files": lambda value: isinstance(value, dict) and all(_NAME.fullmatch(n) for n in value),
}  # fmt: skip
_CONFIG: dict[str, Rule] = {
    "method": str, "seed": int, "recipe": dict, "data.name": str, "data.facts": dict, "data.hash": str,
    "data.classes": is_list_of(str), "data.class_counts": is_list_of(is_amount), "precision": str, "device": str,
    "threads": lambda value: type(value) is int and value >= 1, "machine": dict, "versions": dict,
}  # fmt: skip


def write(folder: Path, result: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """run.json, last of all: what came out, with the checksums of the named files and its own; returns what it says."""
    files = {name: json_documents.file_checksum(folder / name) for name in names}
    whole = {"schema_version": SCHEMA, **result, "files": files}
    state_files.write_json(folder / RUN, json_documents.sealed(whole))
    return whole


def write_predictions(folder: Path, arrays: dict[str, Tensor]) -> str:
    """predictions.safetensors, and its checksum."""
    data = safetensors.save(arrays)
    state_files.write_bytes(folder / PREDICTIONS, data)
    return hashlib.sha256(data).hexdigest()


def configuration(folder: Path) -> dict[str, Any]:
    """What config.json says; raises as `documents.read_sealed`."""
    return json_documents.read_sealed(folder / CONFIG, SCHEMA, _CONFIG, WAY_OUT)


def read(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Configuration and result of a finished run, its scores computed anew.

    Raises:
        DamagedError: a file of the run is gone or was changed, or run.json tells other scores than its predictions.
        ValueError: a newer version of longtail wrote it.
        OSError: a file cannot be read.
    """
    config, result = checked(folder)
    path = folder / PREDICTIONS
    try:
        scores = scored(safetensors.load(path.read_bytes()), result["link"], config["data"]["class_counts"])
    except (SafetensorError, ValueError, TypeError, LookupError) as error:
        raise DamagedError(f"{path} is damaged ({' '.join(str(error).split())[:200]})", WAY_OUT) from None
    for name in DECIDED:
        told = result["scores"].get(name)
        if not (is_amount(told) and math.isclose(told, scores[name], rel_tol=0.0, abs_tol=1e-9)):
            raise DamagedError(
                f"{folder / RUN} says {name} {str(told)[:30]}, its predictions {scores[name]:.6g}", WAY_OUT
            )
    return config, {**result, "scores": scores}


def checked(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Configuration and result, every file of the run checked, with those of its folds; raises as `read`."""
    result = json_documents.read_sealed(folder / RUN, SCHEMA, _RESULT, WAY_OUT)
    for name in (CONFIG, PREDICTIONS):
        if name not in result["files"]:
            raise DamagedError(f"{folder / RUN} does not vouch for {name}", WAY_OUT)
    for name, expected in result["files"].items():
        path = folder / name
        try:
            found = json_documents.file_checksum(path)
        except FileNotFoundError:
            raise DamagedError(f"{path} is missing", WAY_OUT) from None
        if found != expected:
            raise DamagedError(f"{path} was changed since the run was finished (its checksum is off)", WAY_OUT)
        if path.name == RUN:
            checked(path.parent)
    config = configuration(folder)
    for key, told in (("method", result["method"]), ("seed", result["seed"])):
        if config[key] != told:
            raise DamagedError(f"{folder / RUN} is of {key} {told!r}, {CONFIG} of {config[key]!r}", WAY_OUT)
    return config, result


def scored(arrays: Mapping[str, Tensor], link: str, class_counts: Any) -> dict[str, Any]:
    """The scores of what predictions.safetensors holds: of the adjusted scores where a post-hoc rule decided."""
    logs = priors.log_probabilities(arrays.get("adjusted_scores", arrays["scores"]), link)
    return evaluate(logs, arrays["targets"], class_counts=class_counts, sample_weight=arrays.get("sample_weight"))
