"""Cross-validated runs: one training per fold, and one run with the predictions of all folds."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from longtail.catalogue.method import Method
from longtail.data import Splits
from longtail.data.rows import BatchedRows, Examples
from longtail.data.split.folds import Folds
from longtail.engine import Recipe
from longtail.engine.default_recipe import default_recipe, usual_threads
from longtail.engine.due_step import Events
from longtail.engine.lanes import device_of
from longtail.engine.selection import LAST
from longtail.engine.side_by_side import finish
from longtail.methods.registry import method as resolve
from longtail.models import Factory
from longtail.runs import manifest, selected, sources, unsaved
from longtail.runs.memorisation import summed
from longtail.runs.outputs import configuration, described, write_result
from longtail.runs.run import Run, opened
from longtail.runs.search import searched_in
from longtail.runs.train import Fit

SMALL = 4_000_000
"""Numbers in the training rows up to which trainings go side by side on a CPU, the folds of a run on any device."""


def train_folds(method: Any, folds: Folds, *, folder: str | Path, **options: Any) -> Run:
    """Train one method on every fold of one repetition; the same call resumes where it was interrupted.

    Arguments: as in `fold_trainings`.

    Raises:
        ValueError, OSError, FinitenessError: as `train`.
    """
    device = device_of(options.get("device", "cpu"))
    run: Run = finish(lambda: fold_trainings(method, folds, folder=folder, **options), device)
    return run


def fold_trainings(
    method: Any,
    folds: Folds,
    *,
    folder: str | Path,
    seed: int = 0,
    recipe: Recipe,
    network: Factory | None = None,
    device: str = "cpu",
    threads: int | None = None,
    **options: Any,
) -> Generator[Sequence[Events], None, Run]:
    """Yield the trainings of all folds, of small data at once and else one by one; return the run that they make.

    The folder gets `fold-<j>/`, each a run like any other, and the run of all folds: predictions.safetensors has every
    tested row once (`index`: its row in the data as read, ascending; `fold`: the fold that predicted it), run.json
    their scores.

    Args:
        method: a method, its spec string, or a classifier of your own, as in `compare`.
        folds: the data.
        folder: of the run; it belongs to this configuration from then on.
        seed: of the partition, of initialisation and of order.
        recipe, network, device, threads, options: as in `train`.
    """
    chosen, place = resolve(method), Path(folder)
    first = folds.splits(seed, 0)
    recipe = recipe if network is None else recipe.with_network(network, first.train)
    options |= {"seed": seed, "device": device, "threads": threads}
    shared = chosen.under(recipe)
    config = _configuration(chosen, folds, first, seed, shared, device, threads or usual_threads(shared))
    selected.check(select := options.get("select", LAST), first)
    config |= {} if select == LAST else {"select": select}
    with opened(place, config) as (finished, config):
        if finished is not None:
            return finished
        sources.write(place, folds.origin)  # now, so that the folds refer to it
        parts = (first if j == 0 else folds.splits(seed, j) for j in range(folds.k))
        fits = (
            Fit(chosen, splits, folder=fold_folder(place, j), recipe=of_fold(recipe, splits), **options)
            for j, splits in enumerate(parts)
        )
        runs: list[Run] = []
        for some in [list(fits)] if is_small(first.train) else ([fit] for fit in fits):
            yield [fit.events for fit in some]
            runs += [fit.run for fit in some]
        return _pooled(chosen, folds, seed, place, config, runs)


def is_small(rows: BatchedRows) -> bool:
    """Return whether several such training parts may be in memory at once, and a step is calls, not arithmetic."""
    return isinstance(rows, Examples) and rows.inputs.numel() <= SMALL


def fold_folder(folder: Path, fold: int) -> Path:
    """Return the folder of one fold's run."""
    return folder / f"fold-{fold}"


def of_fold(recipe: Recipe, splits: Splits) -> Recipe:
    """Return the recipe of all folds with the network's arguments that follow from this fold's preparation.

    A category that occurs in other folds alone is no input here, so a table's network differs in width between folds.
    """
    if splits.preparation is None:
        return recipe
    if recipe.own is not None:
        table = getattr(splits.preparation, "kind", None) == "table"
        return recipe.with_network(recipe.own.factory, splits.train) if table else recipe
    own = default_recipe(splits, model=recipe.model)
    return replace(recipe, model_args={**recipe.model_args, **own.model_args})


def _configuration(
    method: Method, folds: Folds, first: Splits, seed: int, recipe: Recipe, device: str, threads: int
) -> dict[str, Any]:
    # the recipe of all folds; each fold's own is in its own config.json
    shared = {"data": described(folds), "recipe": recipe.to_json()}
    return configuration(method, first, seed, of_fold(recipe, first), device, threads) | shared


def _pooled(method: Method, folds: Folds, seed: int, folder: Path, config: dict[str, Any], runs: list[Run]) -> Run:
    """Return the run of all folds, made from the runs of each."""
    arrays = _predictions(folds, seed, runs)
    reused = [Path(r.result["reuses"]) for r in runs if r.result["reuses"]]
    result = write_result(
        folder, method, folds, seed, arrays,
        [str(run.folder.relative_to(folder) / manifest.RUN) for run in runs],
        # of the run, not of its fold
        reuses=str(reused[0].parent if reused[0].name.startswith("fold-") else reused[0]) if reused else None,
        seconds=sum(r.result["seconds"] for r in runs),
        folds=len(runs),
        link=runs[0].result["link"],
        predicted=manifest.write_predictions(folder, arrays),
        **{name: _mean_shares(runs, name) for name in ("prior", "training_prior")},
        **selected.of_folds([r.result for r in runs]),
        **summed([r.result for r in runs]),
        **unsaved.of_folds([r.result for r in runs]),
        **searched_in([r.result["search"] for r in runs if "search" in r.result]),
    )  # fmt: skip
    return Run(folder, config, result)


def _mean_shares(runs: list[Run], name: str) -> list[float]:
    """Return the mean of the folds' class shares, which differ by single rows; those of each are in its run.json."""
    shares: list[float] = torch.tensor([run.result[name] for run in runs], dtype=torch.float64).mean(0).tolist()
    return shares


def _predictions(folds: Folds, seed: int, runs: list[Run]) -> dict[str, Tensor]:
    """Return the arrays of predictions.safetensors, by row of the pool."""
    partition = torch.from_numpy(folds.partition(seed))
    parts: list[dict[str, Tensor]] = []
    for j, one in enumerate(runs):
        rows = torch.nonzero(partition == j).flatten()  # the order of a fold's test part
        fold = torch.full_like(rows, j)
        parts.append({**one.predictions(), "index": rows, "fold": fold})
    pooled = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    order = pooled["index"].argsort()
    pooled = {name: values[order].contiguous() for name, values in pooled.items()}
    if folds.pool.sample_weight is not None:
        pooled["sample_weight"] = folds.pool.sample_weight[pooled["index"]].contiguous()
    pooled["index"] = folds.pool.source(pooled["index"]).contiguous()
    return pooled
