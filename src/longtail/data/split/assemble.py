"""Assemble the parts of a pool's rows: their labels, their weights, and a preparation fitted on training rows alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.data.label_kinds import CANDIDATES, unlabeled
from longtail.data.mapped import MappedExamples
from longtail.data.pool import Pool
from longtail.data.read.tables.table import Table
from longtail.data.rows import Examples
from longtail.data.simulate.parts import with_own_labels
from longtail.data.split.by_time import without_future
from longtail.data.splits import Part, Splits


def assemble(pool: Pool, rows: dict[str, Tensor], facts: dict[str, Any], notes: list[str]) -> Splits:
    """Return the splits with these rows of the pool; what has to be fitted is fitted on the training rows alone."""
    apart = replace(pool, parts=None)
    pools = {name: _part(apart, name, index) for name, index in rows.items()}
    if pool.unlabeled is not None:
        pools["unlabeled"] = rows_apart(
            pool.unlabeled, [pools[name] for name in ("val", "test") if name in pools], notes
        )
    if isinstance(pool.rows, Examples | MappedExamples):
        preparation = pool.preparation
        parts = {name: _with_weights(part.rows, part) for name, part in pools.items()}  # type: ignore[arg-type]
    else:
        from longtail.data.prepare.table import TablePreparation

        preparation = TablePreparation.fit(pool.rows.take(rows["train"]))

        def prepared(name: str, part: Pool) -> Part:
            try:
                inputs = preparation(part.rows.frame)  # type: ignore[union-attr]
            except ValueError as error:  # further rows may have cells of another type
                raise ValueError(f"unlabeled (--unlabeled): {error}" if name == "unlabeled" else str(error)) from None
            return _with_weights(Examples(inputs, part.targets, pool.classes, policy=preparation.policy), part)

        parts = {name: prepared(name, part) for name, part in pools.items()}
        notes = [*notes, *getattr(preparation, "notes", ())]
    notes = [*pool.notes, *notes, *weight_notes(pool)]
    truths = [part.truth for name in ("train", "unlabeled") if (part := pools.get(name)) and part.truth is not None]
    tested = parts["test"] if "test" in parts else no_rows(parts["train"])
    numbers = pool.source(rows.get("test", torch.empty(0, dtype=torch.int64)))
    return Splits(
        pool.name, parts["train"], tested, parts.get("val"), {**pool.facts, **facts}, tuple(notes), preparation,
        pool.origin, numbers, parts.get("unlabeled"), torch.cat(truths) if truths else None,
        parts.get("cut"), pool.source(rows["train"]),
    )  # fmt: skip


def _part(pool: Pool, name: str, index: Tensor) -> Pool:
    """Return the rows of one part with the labels that it has; rows to be evaluated have a class, not candidates.

    Of noise, which is in the pool's labels by row, validation rows have their share and test rows none.
    """
    part = pool.take(index)
    if name == "unlabeled":
        part = part.with_targets(unlabeled(len(part)))
    elif name != "train" and (part.truth is None or part.kind == CANDIDATES):
        return part.with_targets(part.known if part.truth is None else part.truth)
    hidden = part.truth is not None and not isinstance(part.rows, Table)
    return replace(part, rows=with_own_labels(part.rows)) if hidden else part  # type: ignore[arg-type]


def no_rows(part: Part) -> Part:
    """Return a part of the same features and classes without rows, whose labels are given."""
    empty = torch.empty(0, dtype=torch.int64)
    return replace(part.take(empty), targets=empty)


def rows_apart(rest: Pool, held_out_parts: list[Pool], notes: list[str]) -> Pool:
    """Return the rows without labels that are older than rows to be evaluated and share no group with them."""
    rest = without_future(rest, held_out_parts, notes)
    if rest.groups is None:
        return rest
    evaluated = [part.groups for part in held_out_parts if part.groups is not None]
    together = np.isin(rest.groups, np.concatenate(evaluated)) if evaluated else np.zeros(len(rest), dtype=bool)
    if not together.any():
        return rest
    if together.all():
        raise ValueError(
            f"rows without labels must share no group with rows held out, got all {len(rest)} in such groups; add rows "
            "of other groups, or leave out group (--group)"
        )
    notes.append(f"{int(together.sum())} rows without labels are in groups that are held out, and were left out")
    return rest.take(torch.from_numpy(np.flatnonzero(~together)))


def weight_notes(pool: Pool) -> list[str]:
    """Return a note on counts where rows have weights."""
    if pool.sample_weight is None:
        return []
    total = float(pool.sample_weight.double().sum())
    return [f"counts are sums of sample weights: {len(pool)} rows weigh {total:.6g} in all"]


def _with_weights(part: Part, pool: Pool) -> Part:
    return part if pool.sample_weight is None else replace(part, sample_weight=pool.sample_weight)
