"""Warnings about the data before training: columns that identify rows, few test examples, joined class names."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from dataclasses import replace

import torch

from longtail.data import Splits
from longtail.data.pool import Pool
from longtail.data.read.tables.table import Table
from longtail.data.split.folds import Folds
from longtail.inspection.class_names import of_several_classes
from longtail.inspection.findings import few_tests_sentence, identifier_sentences, joined_names_sentence
from longtail.inspection.subject import flagged_columns
from longtail.report.printable import shown

log = logging.getLogger(__name__)


def warn_of_identifiers(pool: Pool) -> Pool:
    """Log the columns that number or identify the rows or follow their order; return the pool with that as a note."""
    flagged = flagged_columns(pool)
    if not flagged:
        return pool
    names = [shown(column["name"]) for column in flagged[:5]]
    options = " ".join(f"--drop {shlex.quote(name)}" for name in names)
    way_out = f"leave out with {options} (drop_columns={names})" if isinstance(pool.rows, Table) else "take out of X"
    note = f"{'; '.join(identifier_sentences(flagged))}; {way_out} what only names, numbers or dates the rows"
    log.warning("%s", note)
    return replace(pool, notes=(*pool.notes, note))


def warn_of_small_classes(data: Splits | Folds) -> None:
    """Log the sentence on classes with fewer than 10 test examples, as `longtail inspect` has it."""
    targets = data.test.targets.cpu() if isinstance(data, Splits) else data.pool.known[data.tested]
    counts = torch.bincount(targets, minlength=len(data.classes)).tolist()
    if sentence := few_tests_sentence(dict(zip(data.classes, counts, strict=True))):
        log.warning("%s", sentence)


def warn_of_joined_names(classes: Sequence[str]) -> None:
    """Log the sentence on class names such as "cat|dog", which may be candidate sets, as `longtail inspect` has it."""
    for sentence in joined_names_sentence(of_several_classes(classes)):
        log.warning("%s", sentence)
