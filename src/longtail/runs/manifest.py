"""run.json, the manifest of a finished run: its result, and the checksum of every file of the run.

A finished run is verified before it is used: its files must have the checksums in run.json, which has one of its own,
and its scores are computed anew from its predictions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

from longtail.engine.selection import VAL
from longtail.facts import files, json_documents
from longtail.facts.json_documents import DamagedError, Rule, is_amount, is_list_of
from longtail.metrics import evaluate
from longtail.runs import priors
from longtail.runs.feature_terms import feature_measures
from longtail.runs.model_files import LINKS
from longtail.runs.probe_scores import probe_scores

SCHEMA = 2
"""Of config.json and run.json; 1 had no checksums, so that nothing of it can be verified."""
RUN, CONFIG, LINES, PREDICTIONS = "run.json", "config.json", "metrics.jsonl", "predictions.safetensors"
VALIDATION = "validation.safetensors"
WAY_OUT = "run the same command again, which does this run anew, or copy the folder again"
DECIDED = ("accuracy", "balanced_accuracy", "macro_f1")
"""Scores that depend on the decisions alone, so that every version of torch computes the same."""

_NAME = re.compile(r"(fold-\d+/run\.json|[\w-][\w.-]*)")
_RESULT: dict[str, Rule] = {
    "method": str, "key": str, "reference": str, "retrains": bool, "seed": int, "reuses": (str, type(None)),
    "seconds": is_amount, "scores": (dict, type(None)), "link": lambda value: value in LINKS, "hashes.data": str,
    "folds?": int, "model?": str, "prior?": is_list_of(is_amount), "training_prior?": is_list_of(is_amount),
    "files": lambda value: isinstance(value, dict) and all(_NAME.fullmatch(n) for n in value),
}  # fmt: skip
_CONFIG: dict[str, Rule] = {
    "method": str, "seed": int, "recipe": dict, "data.name": str, "data.facts": dict, "data.hash": str,
    "data.classes": is_list_of(str), "data.class_counts": is_list_of(is_amount), "precision": str, "device": str,
    "threads": lambda value: type(value) is int and value >= 1, "machine": dict, "versions": dict,
}  # fmt: skip


def write(folder: Path, result: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Write run.json, the last file of a run: its result, with the checksums of the named files; return the content."""
    checksums = {name: files.file_checksum(folder / name) for name in names}
    content = {"schema_version": SCHEMA, **result, "files": checksums}
    json_documents.write_sealed(folder / RUN, content)
    return content


def write_predictions(folder: Path, arrays: dict[str, Tensor]) -> str:
    """Write predictions.safetensors, and return its checksum."""
    data = safetensors.save(arrays)
    files.write_bytes(folder / PREDICTIONS, data)
    return files.checksum(data)


def configuration(folder: Path) -> dict[str, Any]:
    """Read config.json; raises as `json_documents.read_sealed`."""
    return json_documents.read_sealed(folder / CONFIG, SCHEMA, _CONFIG, WAY_OUT)


def read(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return configuration and result of a finished run, its scores computed from its predictions.

    Raises:
        DamagedError: a file of the run is missing or was changed, or run.json has other scores than its predictions.
        ValueError: a newer version of longtail wrote it.
        OSError: a file cannot be read.
    """
    config, result = verify(folder)
    path = folder / PREDICTIONS
    try:
        arrays = safetensors.load(path.read_bytes())
        scores = scores_of(arrays, result["link"], config["data"]["class_counts"])
    except (SafetensorError, ValueError, TypeError, LookupError) as error:
        raise DamagedError(f"{path} is damaged ({' '.join(str(error).split())[:200]})", WAY_OUT) from None
    stored = result["scores"]
    if scores is None or stored is None:
        if scores is not stored:
            raise DamagedError(f"{folder / RUN} and {path} do not agree on whether the run was tested", WAY_OUT)
        return config, result
    for name in DECIDED:
        if not (is_amount(stored.get(name)) and math.isclose(stored[name], scores[name], rel_tol=0.0, abs_tol=1e-9)):
            raise DamagedError(
                f"{folder / RUN} says {name} {str(stored.get(name))[:30]}, its predictions {scores[name]:.6g}", WAY_OUT
            )
    return config, {**result, "scores": scores, **encoder_results(arrays, config["data"]["class_counts"])}


def encoder_results(arrays: Mapping[str, Tensor], class_counts: Any) -> dict[str, Any]:
    """Return the entries of run.json on an encoder, `probes` and `features`; {} of methods that classify themselves."""
    found = {
        "probes": probe_scores(arrays, class_counts),
        "features": feature_measures(arrays, class_counts),
    }
    return {name: entry for name, entry in found.items() if entry}


def verify(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Compare every file of a run, and of its folds, with its checksum; return configuration and result.

    Raises as `read`.
    """
    result = json_documents.read_sealed(folder / RUN, SCHEMA, _RESULT, WAY_OUT)
    for name in (CONFIG, PREDICTIONS):
        if name not in result["files"]:
            raise DamagedError(f"{folder / RUN} does not vouch for {name}", WAY_OUT)
    for name, checksum in result["files"].items():
        path = folder / name
        try:
            sound = files.file_checksum(path) == checksum
        except FileNotFoundError:
            raise DamagedError(f"{path} is missing", WAY_OUT) from None
        if not sound:
            raise DamagedError(f"{path} was changed since the run was finished (its checksum is off)", WAY_OUT)
        if path.name == RUN:
            verify(path.parent)
    config = configuration(folder)
    for key in ("method", "seed"):
        if config[key] != result[key]:
            raise DamagedError(f"{folder / RUN} is of {key} {result[key]!r}, {CONFIG} of {config[key]!r}", WAY_OUT)
    return config, result


def prior_shift(result: Mapping[str, Any]) -> Tensor | None:
    """Return what turns the log-probabilities of a run into those under the training prior (C,); None of old runs."""
    if result.get("prior") is None:
        return None
    before, after = (torch.tensor(result[name], dtype=torch.float64) for name in ("prior", "training_prior"))
    return priors.shift_of(before, after)


def chosen_on(rows: str, result: Mapping[str, Any]) -> bool:
    """Whether these rows of a run chose its training, so that they are not like new rows.

    Args:
        rows: `VAL`, by a search or its epoch, or `BEST_TEST`, by its epoch.
        result: the entries `search` and `select` of run.json, where it has them.
    """
    kept = result.get("select", {})
    epochs = kept.get("epoch")
    of_each = epochs if isinstance(epochs, list) else [epochs]  # a list of the folds'
    by_epoch = kept.get("rule") == rows and any(epoch is not None for epoch in of_each)
    return by_epoch or (rows == VAL and "search" in result)


def scores_of(arrays: Mapping[str, Tensor], link: str, class_counts: Any) -> dict[str, Any] | None:
    """Score what predictions.safetensors holds: the adjusted scores where there is a post-hoc rule.

    Probabilities are what these scores say, under whatever class prior they refer to; `runs.scored` has those under the
    training prior, which predict writes. None where the file holds no row: every row was for training.
    """
    if len(arrays["targets"]) == 0:
        return None
    logs = priors.log_probabilities(arrays.get("adjusted_scores", arrays["scores"]), link)
    return evaluate(logs, arrays["targets"], class_counts=class_counts, sample_weight=arrays.get("sample_weight"))
