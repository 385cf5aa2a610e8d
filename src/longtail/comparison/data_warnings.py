"""What a comparison says before it trains: columns that name the rows, classes that are hardly tested."""

from __future__ import annotations

import logging
import shlex
from dataclasses import replace

import torch

from longtail.data import Splits
from longtail.data.pool import Pool
from longtail.data.read.tables.table import Table
from longtail.data.split.folds import Folds
from longtail.inspection.findings import hardly_tested, identified
from longtail.inspection.subject import flagged_of
from longtail.report.printable import shown

log = logging.getLogger(__name__)


def noted(pool: Pool) -> Pool:
    """The pool with a note on the columns that count or name its rows or rise with them; each is logged, too."""
    flagged = flagged_of(pool)
    if not flagged:
        return pool
    names = [shown(one["name"]) for one in flagged[:5]]
    words = " ".join(f"--drop {shlex.quote(name)}" for name in names)
    way = f"leave out with {words} (drop_columns={names})" if isinstance(pool.rows, Table) else "take out of X"
    note = f"{'; '.join(identified(flagged))}; {way} what only names, numbers or dates the rows"
    log.warning("%s", note)
    return replace(pool, notes=(*pool.notes, note))


def warn_of_small(data: Splits | Folds) -> None:
    """Log the sentence on classes with fewer than 10 test examples, the one that `longtail inspect` has."""
    targets = data.test.targets.cpu() if isinstance(data, Splits) else data.pool.targets[data.tested]
    counts = torch.bincount(targets, minlength=len(data.classes)).tolist()
    if told := hardly_tested(dict(zip(data.classes, counts, strict=True))):
        log.warning("%s", told)
