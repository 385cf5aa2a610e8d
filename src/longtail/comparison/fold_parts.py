"""The training parts of all folds by their labels alone, for what methods refuse before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from longtail.data import Examples, Part
from longtail.data.split.folds import Folds
from longtail.data.split.holdout import hold_out


def training_parts(folds: Folds, first: Part, seeds: Iterable[int]) -> dict[str, Part]:
    """Return "fold 2 of seed 0" -> a part with the labels of that fold's training rows, of other folds than the first.

    A class can have two training rows in one fold and one in another. Inputs are those of one row, repeated without
    memory; nothing is prepared. Empty for rows that are not in memory, weighted, or whose labels are changed.

    Args:
        folds: the data.
        first: the training part of fold 0 of seed 0.
        seeds: the repetitions.
    """
    if not isinstance(first, Examples) or first.sample_weight is not None or folds.simulation is not None:
        return {}
    if first.kind != "given" or folds.has_unlabeled:
        return {}
    pool = folds.pool
    found: dict[str, Part] = {}
    for seed, fold in product(seeds, range(folds.k)):
        rows = folds.rows_of(seed, fold)["train"]
        if folds.val is not None:
            rows, _ = hold_out(pool, rows, folds.val)
        inputs = first.inputs[:1].expand(len(rows), *first.inputs.shape[1:])
        found[f"fold {fold} of seed {seed}"] = Examples(inputs, pool.targets[rows], first.classes)
    return dict(list(found.items())[1:])
