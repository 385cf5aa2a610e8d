"""What can be known of data before anything is trained; `inspection` makes what `longtail inspect --json` prints."""

from __future__ import annotations

from typing import Any

from longtail.data import Splits
from longtail.data.pool import Pool
from longtail.inspection import class_names, columns, duplicates, leakage
from longtail.inspection.advice import advice
from longtail.inspection.findings import findings
from longtail.inspection.shape import gini, shape
from longtail.inspection.subject import Subject, of_pool, of_splits

__all__ = ["SCHEMA", "gini", "inspection"]

SCHEMA = 1
"""Grows when a name of the document changes its meaning; new names do not change it."""


def inspection(pool: Pool | Splits, splits: Splits | None = None, *, data: str = "DATA") -> dict[str, Any]:
    """Everything that `longtail inspect` says, as plain JSON; docs/guide/own-data.md has the names.

    Args:
        pool: all rows as they were read.
        splits: the parts that a comparison would train and test on. Without a pool the parts are all there is:
            `inspection(splits)`.
        data: the data and their options as the command line has them, for the commands of the advice.

    Raises:
        TypeError: a pool without its splits.
    """
    if isinstance(pool, Splits):
        splits, seen = pool, of_splits(pool)
    elif splits is not None:
        seen = of_pool(pool, splits)
    else:
        raise TypeError("splits are missing; pass split(pool) beside the pool, or the splits alone")
    document = {
        "schema": SCHEMA,
        "name": splits.name,
        "hash": splits.hash,
        "kind": seen.kind,
        **shape(splits),
        "declared_split": seen.declared,
        "foldable": seen.foldable,
        **_contents(seen),
        "group_leaks": duplicates.group_leaks(seen.groups, seen.parts if seen.declared else None, seen.names),
        "columns": _columns(seen),
        "unreadable": {"files": len(seen.skipped), "examples": list(seen.skipped[: duplicates.SHOWN])},
        "labels": {"twins": class_names.twins(splits.classes), "unseen": class_names.unseen(splits.classes)},
        "notes": list(dict.fromkeys(seen.notes)),
    }
    return document | {"findings": findings(document), "advice": advice(document, data)}


def _contents(seen: Subject) -> dict[str, Any]:
    named = seen.names if seen.part_ids is seen.ids else None  # rows of the parts have no names of their own
    return {
        "duplicates": duplicates.duplicates(seen.ids, seen.names),
        "conflicts": duplicates.conflicts(seen.ids, seen.targets, seen.classes, seen.names),
        "leaks": duplicates.leaks(seen.part_ids, seen.parts, seen.declared, named),
    }


def _columns(seen: Subject) -> dict[str, Any] | None:
    if seen.columns is None:
        return None
    return {
        "names": [c.name for c in seen.columns],
        "constant": columns.constant(seen.columns),
        "leaking": leakage.leaking(seen.columns, seen.targets),
        "identifying": seen.flagged,
    }
