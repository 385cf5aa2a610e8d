"""Cross-validated runs: one training per fold, and one run whose predictions are those of all folds."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import torch as safetensors
from torch import Tensor

from longtail.data import Splits
from longtail.data.folds import Folds
from longtail.engine import Recipe, Run, packing, run, sources
from longtail.engine.lock import held
from longtail.engine.run import claim
from longtail.methods.definition import Method
from longtail.methods.outcome import configuration
from longtail.methods.recipes import default_recipe, usual_threads
from longtail.methods.resolve import method as resolve
from longtail.methods.train import train
from longtail.metrics import evaluate


def train_folds(
    method: str | Method,
    folds: Folds,
    *,
    folder: str | Path,
    seed: int = 0,
    recipe: Recipe,
    store: Path | None = None,
    device: str = "cpu",
    threads: int | None = None,
    evaluations: int = 1,
) -> Run:
    """Train one method on every fold of one repetition; the same call goes on where it was interrupted.

    The folder gets `fold-<j>/`, each a run like any other, and the run of all: predictions.safetensors holds every
    tested row once (`index`: its row in the data as read, ascending; `fold`: who predicted it), run.json their scores.

    Args:
        method: a method or its spec string.
        folds: the data.
        folder: of the run; claimed by this configuration.
        seed: of the partition, of initialisation and of order.
        recipe, store, device, threads, evaluations: as in `train`.

    Raises:
        ValueError, OSError, FinitenessError: as `train`.
    """
    chosen, place = resolve(method), Path(folder)
    how: dict[str, Any] = {
        "seed": seed, "store": store, "device": device, "threads": threads, "evaluations": evaluations,
    }  # fmt: skip
    shared = chosen.under(recipe)
    first = folds.splits(seed, 0)
    config = _configuration(chosen, folds, first, seed, shared, device, threads or usual_threads(shared))
    if (place / "run.json").exists():  # a finished run is only read, so its folder may be read-only
        claim(place, config)
        return Run.load(place)
    with held(place):
        packing.sweep(place)
        claim(place, config)
        if folds.origin is not None:
            sources.keep(place, folds.origin)
        runs = []
        for j in range(folds.k):
            splits = first if j == 0 else folds.splits(seed, j)
            runs.append(train(chosen, splits, folder=fold_folder(place, j), recipe=of_fold(recipe, splits), **how))
        return _pooled(chosen, folds, seed, place, runs)


def fold_folder(folder: Path, fold: int) -> Path:
    """Where the run of one fold stands."""
    return folder / f"fold-{fold}"


def of_fold(recipe: Recipe, splits: Splits) -> Recipe:
    """The recipe that all folds share, with what follows from a preparation taken from this fold's own.

    A category that only other folds know is no input here, so a table's network differs in width between folds.
    """
    if splits.preparation is None:
        return recipe
    own = default_recipe(splits, model=recipe.model)
    return replace(recipe, model_args={**recipe.model_args, **own.model_args})


def _configuration(
    method: Method, folds: Folds, first: Splits, seed: int, recipe: Recipe, device: str, threads: int
) -> dict[str, Any]:
    data = {
        "name": folds.name,
        "facts": folds.facts,
        "hash": folds.hash,
        "classes": list(folds.classes),
        "class_counts": folds.class_counts.tolist(),
        "test_counts": folds.test_counts.tolist(),
    }
    return {**configuration(method, first, seed, of_fold(recipe, first), device, threads), "data": data}


def _pooled(method: Method, folds: Folds, seed: int, folder: Path, runs: list[Run]) -> Run:
    """The run of all folds, from the runs of each."""
    arrays, logs = _predictions(folds, seed, runs)
    weight = arrays.get("sample_weight")
    scores = evaluate(logs, arrays["targets"], class_counts=folds.class_counts, sample_weight=weight)
    data = safetensors.save(arrays)
    packing.write_bytes(folder / "predictions.safetensors", data)
    reused = [Path(r.result["reuses"]) for r in runs if r.result["reuses"]]
    result = {
        "schema_version": run.SCHEMA,
        "method": method.spec,
        "key": method.key,
        "reference": method.reference.short,
        "retrains": method.retrains,
        "seed": seed,
        # of the run, not of its fold
        "reuses": str(reused[0].parent if reused[0].name.startswith("fold-") else reused[0]) if reused else None,
        "seconds": sum(r.result["seconds"] for r in runs),
        "scores": scores,
        "sources": None if folds.origin is None else folds.origin.digest,
        "folds": len(runs),
        "hashes": {"data": folds.hash, "predictions": hashlib.sha256(data).hexdigest()},
    }
    packing.write_json(folder / "run.json", result)
    return Run.load(folder)


def _predictions(folds: Folds, seed: int, runs: list[Run]) -> tuple[dict[str, Tensor], Tensor]:
    """What predictions.safetensors holds, by row of the pool, and the log-probabilities of the decisions."""
    partition = torch.from_numpy(folds.partition(seed))
    parts: list[dict[str, Tensor]] = []
    for j, one in enumerate(runs):
        found = one.predictions()
        decided = found.get("adjusted_scores", found["scores"])
        rows = torch.nonzero(partition == j).flatten()  # a fold's test part stands in this order
        fold = torch.full_like(rows, j)
        parts.append({**found, "index": rows, "fold": fold, "logs": one.predictor.log_probabilities(decided)})
    whole = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    order = whole["index"].argsort()
    whole = {name: values[order].contiguous() for name, values in whole.items()}
    if folds.pool.sample_weight is not None:
        whole["sample_weight"] = folds.pool.sample_weight[whole["index"]].contiguous()
    whole["index"] = folds.pool.source(whole["index"]).contiguous()
    logs = whole.pop("logs")
    return whole, logs
