"""Inspect data before training: `inspection` returns the document that `longtail inspect --json` prints."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from longtail.data import Splits
from longtail.data.pool import Pool
from longtail.inspection import class_names, columns, duplicates, leakage
from longtail.inspection.advice import advice
from longtail.inspection.checks import checked_codes, checks
from longtail.inspection.class_shares import class_shares
from longtail.inspection.findings import found
from longtail.inspection.hidden_labels import hidden_labels
from longtail.inspection.label_noise import label_noise
from longtail.inspection.shape import gini, shape
from longtail.inspection.subject import Subject, subject_of_pool, subject_of_splits
from longtail.runs.predictor import Predictor

__all__ = ["SCHEMA", "gini", "inspection"]

SCHEMA = 1
"""Raised when a key of the document changes its meaning; new keys do not change it."""


def inspection(
    pool: Pool | Splits,
    splits: Splits | None = None,
    *,
    data: str = "DATA",
    model: str | Path | Predictor | None = None,
    ignore: Collection[str] = (),
) -> dict[str, Any]:
    """Return everything that `longtail inspect` prints, as plain JSON; docs/guide/own-data.md explains the keys.

    Args:
        pool: all rows as they were read; or the splits alone, as in `inspection(splits)`.
        splits: the parts that a comparison would train and test on.
        data: the data and their options as given on the command line, for the commands of the advice.
        model: the folder of a run, or its predictor, for the class shares of the rows without labels.
        ignore: codes of `inspection.checks` whose findings are left out of `findings` and `checks`.

    Raises:
        TypeError: a pool without its splits.
        ValueError: a model that does not fit the data, or data without such rows; see `class_shares`.
    """
    if isinstance(pool, Splits):
        whole, splits = None, pool
    elif splits is not None:
        whole = pool
    else:
        raise TypeError("splits are missing; pass split(pool) beside the pool, or the splits alone")
    shares = None if model is None else class_shares(model, splits, whole)
    subject = subject_of_splits(splits) if whole is None else subject_of_pool(whole, splits)
    document = {
        "schema": SCHEMA,
        "name": splits.name,
        "hash": splits.hash,
        "kind": subject.kind,
        **shape(splits),
        **hidden_labels(splits, subject),
        "label_noise": label_noise(splits),
        "class_shares": shares,
        "declared_split": subject.declared,
        "foldable": subject.foldable,
        **_contents(subject),
        "group_leaks": duplicates.group_leaks(
            subject.groups, subject.parts if subject.declared else None, subject.names
        ),
        "columns": _columns(subject),
        "undeclared_missing": [one.to_json() for one in subject.undeclared],
        "unreadable": {"files": len(subject.skipped), "examples": list(subject.skipped[: duplicates.SHOWN])},
        "labels": {
            "twins": class_names.twins(splits.classes),
            "unseen": class_names.with_invisible_characters(splits.classes),
            "joined": class_names.of_several_classes(splits.classes),
        },
        "notes": list(dict.fromkeys(subject.notes)),
    }
    codes = checked_codes(ignore, "ignore (--ignore)")
    problems = [(code, sentence) for code, sentence in found(document) if code not in codes]
    return document | {
        "findings": [sentence for _, sentence in problems],
        "checks": checks(problems),
        "ignored": sorted(codes),
        "advice": advice(document, data),
    }


def _contents(subject: Subject) -> dict[str, Any]:
    names = subject.names if subject.part_ids is subject.ids else None  # rows of the parts have no names
    known = np.flatnonzero(subject.targets >= 0)
    return {
        "duplicates": duplicates.duplicates(subject.ids, subject.names),
        "conflicts": duplicates.conflicts(
            subject.ids[known], subject.targets[known], subject.classes, [subject.names[i] for i in known.tolist()]
        ),
        "leaks": duplicates.leaks(subject.part_ids, subject.parts, subject.declared, names),
    }


def _columns(subject: Subject) -> dict[str, Any] | None:
    if subject.columns is None:
        return None
    known = subject.targets >= 0
    of_known = [replace(c, values=c.values[known]) for c in subject.columns]
    return {
        "names": [c.name for c in subject.columns],
        "constant": columns.constant(subject.columns),
        "leaking": leakage.leaking_columns(of_known, subject.targets[known]),
        "identifying": subject.flagged,
    }
