"""What is known of the labels of training rows, and what is not: rows without labels, and candidate sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from longtail.data import Splits
from longtail.data.label_kinds import CANDIDATES
from longtail.inspection.subject import Subject


def hidden_labels(splits: Splits, subject: Subject) -> dict[str, Any]:
    """Return the entries of the document on labels that are missing or sets.

    `unlabeled`: None, or the number of `rows`, how many of the tested rows are equal to one of them (`tested`), and
    `true_counts` by class where the data were made from clean ones. `candidates`: None, or `sizes` (size of a set ->
    rows), their `mean`, the rows whose class is `known`, those that name every class (`full`), `always_with` (every set
    with this `class` also names the `other`), and `true_counts`.
    `unknown`: sentences on what cannot be known.
    """
    candidates = _candidates(splits) if splits.train.kind == CANDIDATES else None
    unlabeled = None if splits.unlabeled is None else _unlabeled(splits, subject)
    return {
        "label_kind": splits.train.kind,
        "counts_known": splits.counts_known or splits.clean_counts is not None,
        "unlabeled": unlabeled,
        "candidates": candidates,
        "unknown": _unknown(unlabeled, candidates),
    }


def _unlabeled(splits: Splits, subject: Subject) -> dict[str, Any]:
    assert splits.unlabeled is not None
    truth = None if splits.truth is None else splits.truth[len(splits.train) :]
    return {
        "rows": len(splits.unlabeled),
        "true_counts": None if truth is None else torch.bincount(truth, minlength=len(splits.classes)).tolist(),
        "tested": subject.unlabeled_tested,
    }


def _candidates(splits: Splits) -> dict[str, Any]:
    sizes = splits.train.targets.sum(1)
    counted = torch.bincount(sizes.cpu(), minlength=len(splits.classes) + 1).tolist()
    truth = splits.clean_counts
    return {
        "sizes": {str(size): rows for size, rows in enumerate(counted) if rows},
        "mean": float(sizes.double().mean()),
        "known": counted[1],
        "full": counted[len(splits.classes)],
        "always_with": _always_with(splits.train.targets, splits.classes),
        "true_counts": None if truth is None else [int(n) if n == int(n) else float(n) for n in truth.tolist()],
    }


def _always_with(sets: Tensor, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return the pairs of classes of which the second is in every set of the first, the classes of most rows first.

    Then the ambiguity degree is 1 (Liu and Dietterich 2014): no number of rows tells where the first is true.
    """
    named = sets.cpu().double()
    together = named.T @ named
    rows = together.diagonal()
    always = (together == rows[:, None]) & (rows > 0)[:, None]
    always.fill_diagonal_(False)
    pairs = sorted(always.nonzero().tolist(), key=lambda pair: (-int(rows[pair[0]]), pair))
    return [{"class": classes[a], "other": classes[b], "rows": int(rows[a])} for a, b in pairs]


def _unknown(unlabeled: dict[str, Any] | None, candidates: dict[str, Any] | None) -> list[str]:
    lines = []
    if unlabeled is not None and unlabeled["true_counts"] is None:
        lines.append(
            f"the classes of the {unlabeled['rows']:,} rows without labels, and so whether their imbalance is that of "
            "the labelled rows, or whether they belong to these classes at all"
        )
    if candidates is not None and candidates["true_counts"] is None:
        lines.append(
            "the class sizes and the imbalance ratio: the counts are expected ones, for which each set counts in equal "
            "shares to its classes, and these are evener than the true ones"
        )
    return lines
