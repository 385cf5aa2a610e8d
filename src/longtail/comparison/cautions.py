"""What a comparison says before it trains: columns that name the rows, classes that are hardly tested."""

from __future__ import annotations

import logging
from dataclasses import replace

import torch

from longtail.comparison.inspection.findings import hardly_tested, identified
from longtail.comparison.inspection.view import columns_of
from longtail.data import Splits
from longtail.data.folds import Folds
from longtail.data.pool import Pool
from longtail.data.tables.table import Table
from longtail.report.names import listed

log = logging.getLogger(__name__)


def noted(pool: Pool) -> Pool:
    """The pool with a note on the columns that count or name its rows or rise with them; each is logged, too."""
    _, flagged = columns_of(pool)
    if not flagged:
        return pool
    table, names = isinstance(pool.rows, Table), [one["name"] for one in flagged]
    told = "; ".join(identified(flagged))
    way = (
        f"leave out with --drop (drop=) what is no measurement of {listed(names)}"
        if len(names) > 1
        else ("leave it out with --drop (drop=) unless it is a measurement")
    )
    way = way if table else "leave out of X what is no measurement"
    note = f"{told}; {way}"
    log.warning("%s", note)
    return replace(pool, notes=(*pool.notes, note))


def warn_of_small(data: Splits | Folds) -> None:
    """Log the sentence on classes with fewer than 10 test examples, the one that `longtail inspect` has."""
    targets = data.test.targets.cpu() if isinstance(data, Splits) else data.pool.targets[data.tested]
    counts = torch.bincount(targets, minlength=len(data.classes)).tolist()
    if told := hardly_tested(dict(zip(data.classes, counts, strict=True))):
        log.warning("%s", told)
