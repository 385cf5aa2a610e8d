"""The data of a search for knobs: what `split` makes of a pool, but for the rows for testing.

Nothing here is fitted on rows for testing, nor are the types of a table's columns inferred from them. Which rows these
are, and the names of the classes, follow from the labels of all rows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from longtail.data.cleaning import Corrections
from longtail.data.label_kinds import GIVEN
from longtail.data.pool import Pool
from longtail.data.read.tables.column_types import column_types
from longtail.data.read.tables.table import Table
from longtail.data.simulate import Simulation
from longtail.data.split.assemble import assemble, rows_apart
from longtail.data.split.holdout import TEST_SHARE, divided
from longtail.data.splits import DATA_SEED, NO_VALIDATION, Splits


def without_test_part(splits: Splits) -> Splits:
    """Return the data with the validation part in place of the test part, too, which is no longer in them.

    Raises:
        ValueError: there is no validation part.
    """
    return replace(splits.without_test(), val=splits.val)


def search_splits(
    pool: Pool,
    *,
    test: float = TEST_SHARE,
    val: float | None = None,
    ratio: float | None = None,
    profile: str = "exp",
    simulation: Simulation | None = None,
    largest: int | None = None,
    corrections: Corrections | None = None,
) -> Splits:
    """Return the training and validation part of `split`, the latter in place of the test part, too.

    Raises:
        ValueError: as in `split`, or there are no validation rows.
    """
    pool, rows, facts, notes = divided(
        pool, test, val, ratio, profile, DATA_SEED, simulation, largest, corrections=corrections
    )
    if "val" not in rows:
        raise ValueError(NO_VALIDATION)
    pool = _typed_by(pool, torch.cat([rows["train"], rows["val"]]))
    return replace(assemble(pool, {**rows, "test": rows["val"]}, facts, notes).checked(), test_rows=None)


def training_pool(
    pool: Pool,
    *,
    test: float = TEST_SHARE,
    ratio: float | None = None,
    profile: str = "exp",
    largest: int | None = None,
    noise: Simulation | None = None,
    corrections: Corrections | None = None,
) -> Pool:
    """Return the training rows of `split` as a pool, for folds inside of them; a declared validation part is left out.

    No labels are hidden; folds hide those of their training rows. `noise` is put on all of these rows, since rows that
    validate have it, too.
    """
    pool, rows, facts, _ = divided(pool, test, None, ratio, profile, DATA_SEED, noise, largest, corrections=corrections)
    apart = replace(_typed_by(pool, rows["train"]), parts=None, facts={**pool.facts, **facts})
    if apart.unlabeled is not None and (pool.groups is not None or pool.times is not None):
        evaluated = [apart.take(rows[name]) for name in ("val", "test") if name in rows]
        apart = replace(apart, unlabeled=rows_apart(apart.unlabeled, evaluated, []))
    return apart.take(rows["train"])


def pool_of_training_part(splits: Splits) -> Pool:
    """Return the training rows of data that are split already as a pool."""
    train, rest = splits.train, splits.unlabeled
    noisy = splits.truth is not None and rest is None and train.kind == GIVEN
    return Pool(
        splits.name, train, train.targets, splits.classes, sample_weight=train.sample_weight,
        preparation=splits.preparation, facts=splits.facts, notes=splits.notes, truth=splits.truth if noisy else None,
        index=splits.train_rows,
        unlabeled=None if rest is None else Pool(splits.name, rest, rest.targets, splits.classes),
    )  # fmt: skip


def _typed_by(pool: Pool, rows: Tensor) -> Pool:
    """Return the pool with the types of a table's columns inferred from these rows alone."""
    if not isinstance(pool.rows, Table):
        return pool
    index = np.sort(rows.numpy())
    types = column_types(pool.rows.as_read().iloc[index], pool.rows.declared)
    rest = pool.unlabeled
    if rest is not None and isinstance(rest.rows, Table):
        rest = replace(rest, rows=rest.rows.with_types(types.categories, types.text))
    return replace(pool, rows=pool.rows.with_types(types.categories, types.text), unlabeled=rest)
