"""Read the encoder of a run folder, for trainings that start from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from longtail.data import Splits
from longtail.engine import Recipe
from longtail.engine.default_recipe import default_recipe
from longtail.facts import files
from longtail.facts.json_documents import DamagedError
from longtail.facts.messages import quoted
from longtail.models import Factory
from longtail.models.pretrained import PARTS, PretrainedBody
from longtail.runs import manifest, model_files

PREFIX = "network."


def pretrained_body(run: str | Path | PretrainedBody) -> PretrainedBody:
    """Return standardisation and body of the model in a run folder.

    Raises:
        TypeError: not a path.
        ValueError: no model in the folder, a damaged one, or one that is no network of longtail's or of the user's.
    """
    if isinstance(run, PretrainedBody):
        return run
    if not isinstance(run, str | Path):
        raise TypeError(f"pretrained must be the folder of a run, got {quoted(run)}; name what longtail train wrote")
    folder = Path(run)
    try:
        meta, state, blobs = model_files.read(folder)
    except ValueError as error:
        raise ValueError(f"pretrained (--pretrained): {error}") from None
    parts = {name.removeprefix(PREFIX): tensor for name, tensor in state.items() if name.startswith(PREFIX)}
    parts = {name: tensor for name, tensor in parts.items() if name.split(".")[0] in PARTS}
    if meta["network"] is None or "input_shape" not in meta["network"] or not parts:
        raise ValueError(
            f"pretrained (--pretrained) must be a run that trained a network, got {folder}, whose model is "
            f"{(meta['network'] or {}).get('name', 'not of longtail')}; name the run of an encoder"
        )
    table = None
    if (meta.get("preparation") or {}).get("kind") == "table":
        table = _fitted(meta["preparation"], blobs)
    return PretrainedBody(str(run), _method(folder), meta["network"], parts, table)


def started(recipe: Recipe | None, run: str | Path, splits: Splits, network: Factory | None = None) -> Recipe:
    """Return a recipe whose networks start from the body in a run folder; without one, the default of the data."""
    body = pretrained_body(run)
    if recipe is None:
        return default_recipe(splits, network, pretrained=body)
    return replace(recipe, pretrained=body)


def check_start(recipe: Recipe, splits: Splits) -> None:
    """Raise ValueError where no network for these data can start from the recipe's pretrained body.

    A table must be prepared as that of the encoder was: the same columns, categories and scales.
    """
    body = recipe.pretrained
    if body is None:
        return
    body.check_inputs(splits.train.input_shape)
    mine, prepared = None, splits.preparation
    if prepared is not None and prepared.kind == "table":
        mine = _fitted(prepared.to_json(), prepared.blobs())
    if mine != body.preparation:
        raise ValueError(
            "pretrained (--pretrained) must have been trained on the same table, split in the same way, got "
            f"{body.words}, whose columns were prepared otherwise; embed rows instead (longtail predict --out x.npz)"
        )


def _fitted(description: Mapping[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
    """Return what a preparation is known by: its description and what was fitted."""
    columns = json.loads(json.dumps(description))
    return {"columns": columns, "fitted": {name: files.checksum(data) for name, data in blobs.items()}}


def _method(folder: Path) -> str:
    """Return the method of a run, as far as its folder says."""
    try:
        return str(manifest.configuration(folder)["method"])
    except (DamagedError, OSError, ValueError, LookupError):
        return "a model"
