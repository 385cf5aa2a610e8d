"""Sentences on cross-validation for the reader of a table: how rows are tested, and which never are."""

from __future__ import annotations

import torch
from torch import Tensor

from longtail.data.pool import Pool
from longtail.data.split.assemble import weight_notes
from longtail.data.split.grouping import Rows
from longtail.data.split.holdout import declares_no_test


def fold_notes(pool: Pool, k: int, eligible: Rows, tested: Tensor) -> list[str]:
    """Return the notes on k folds of a pool.

    Args:
        pool: all rows.
        k: folds.
        eligible: the rows whose class is known; tested: those that are tested.
    """
    split = (
        f"{k}-fold cross-validation: each of {len(tested)} examples is tested once, by a model trained "
        "on the other folds; every seed draws its own folds"
    )
    undeclared = [] if pool.parts is None else [declares_no_test(pool.parts)]
    return [*undeclared, split, *_never_tested(pool, eligible, tested), *weight_notes(pool)]


def _never_tested(pool: Pool, eligible: Rows, tested: Tensor) -> list[str]:
    """Return a note on rows that are never tested, and why."""
    several = len(pool) - len(eligible)
    notes = [f"{several} examples have several candidates: trained on and never tested"] if several else []
    count = len(eligible) - len(tested)
    if not count:
        return notes
    untested = torch.bincount(pool.known[tested], minlength=len(pool.classes)) == 0
    names = [name for name, j in zip(pool.classes, untested.tolist(), strict=True) if j]
    shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
    why = "the only one of its class" if pool.groups is None else "in a group that a class needs"
    rows = "1 example is" if count == 1 else f"{count} examples are"
    each = "" if count == 1 else "each "
    cannot = f"; {len(names)} of {len(pool.classes)} classes cannot be measured: {shown}" if names else ""
    return [*notes, f"{rows} trained on in every fold and never tested, {each}{why}{cannot}"]
