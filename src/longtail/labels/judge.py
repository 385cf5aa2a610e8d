"""From evidence to suspects: scores, one decision per row, and what can be said of every class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from longtail.data.cleaning import fingerprint
from longtail.facts.groups import groups as shot_groups
from longtail.labels.class_sizes import rows_needed
from longtail.labels.confident import Floats, Ints
from longtail.labels.explain import class_sentence, reason
from longtail.labels.found import ClassReport, Suspect, ranks
from longtail.labels.out_of_sample import Evidence
from longtail.labels.posterior import posterior
from longtail.labels.result import Suspects
from longtail.labels.rules import Bools

THRESHOLD = 0.5
"""Probability of a wrong label above which it is a suspect."""
SILENT = (
    "nothing can be said of these labels: the out-of-sample probabilities tell them no better than class shares or "
    "chance do; train longer (--epochs), name another --method, or take embeddings"
)
SPOKEN = 5
"""Classes that are named one by one in the notes."""


def judged(
    labels: Ints,
    evidence: Evidence,
    classes: Sequence[str],
    *,
    index: Ints | None = None,
    files: Sequence[str] | None = None,
    truth: Ints | None = None,
    name: str = "",
    method: str = "",
    notes: Sequence[str] = (),
) -> Suspects:
    """Return the suspects among N labels.

    Args:
        labels: (N,) int64 in [0, C).
        evidence: what trainings said of the rows.
        classes: the C class names.
        index: (N,), which rows of the data as read these are; by default 0 to N - 1.
        files: (N,), the file of each row.
        truth: (N,), clean labels, where they are known.
        name, method: of the data and of what was trained.
        notes: sentences to begin with.
    """
    silent, size, seen = False, len(classes), ~np.isnan(evidence.probabilities).any(1)
    scores, likely = np.full(len(labels), np.nan), np.array(labels)
    if seen.any():
        aum = evidence.aum
        found = posterior(labels[seen], evidence.probabilities[seen], None if aum is None else aum[seen])
        silent = not found.informed
        scores[seen] = np.nan if silent else found.wrong
        others = found.classes.copy()
        others[np.arange(len(others)), labels[seen]] = -1.0
        likely[seen] = others.argmax(1)
    named = _one_left(labels, scores, np.nan_to_num(scores) > THRESHOLD)
    needed = rows_needed(labels[seen], evidence.probabilities[seen].argmax(1), size)
    wrong = None if truth is None else truth != labels
    reports = tuple(_report(k, classes[k], labels, scores, named, needed[k], wrong) for k in range(size))
    rows = np.arange(len(labels)) if index is None else index
    return Suspects(
        rows=_suspects(labels, likely, scores, named, evidence, classes, rows, files or [""] * len(labels)),
        classes=reports,
        scores=scores,
        index=rows,
        data=fingerprint(torch.from_numpy(rows), torch.from_numpy(labels), classes),
        name=name,
        method=method,
        groups=() if wrong is None else _groups(labels, size, named, wrong),
        notes=(*notes, *([SILENT] if silent else _class_notes(reports, int((~seen).sum())))),
        labels=labels,
        evidence=evidence,
        truth=truth,
    )


def _one_left(labels: Ints, scores: Floats, named: Bools) -> Bools:
    """Return the suspects without the best row of every class that would have none left."""
    kept = named.copy()
    for k in np.unique(labels):
        rows = np.flatnonzero(labels == k)
        if kept[rows].all():
            kept[rows[np.argmin(scores[rows])]] = False
    return kept


def _suspects(
    labels: Ints, likely: Ints, scores: Floats, named: Bools, evidence: Evidence, classes: Sequence[str], rows: Ints,
    files: Sequence[str],
) -> tuple[Suspect, ...]:  # fmt: skip
    rank, sizes = ranks(labels, scores), np.bincount(labels, minlength=len(classes))
    worst = sorted(np.flatnonzero(named).tolist(), key=lambda i: (-scores[i], i))
    return tuple(
        Suspect(
            row=int(rows[i]), file=files[i], given=classes[labels[i]], likely=classes[likely[i]],
            score=float(scores[i]), rank=int(rank[i]), of=int(sizes[labels[i]]),
            why=reason(evidence, i, int(labels[i]), int(likely[i]), classes),
        )
        for i in worst
    )  # fmt: skip


def _report(
    k: int, name: str, labels: Ints, scores: Floats, named: Bools, needed: int | None, wrong: Bools | None
) -> ClassReport:
    own = labels == k
    known = scores[own & ~np.isnan(scores)]
    mean = float(known.mean()) if len(known) else None
    quality: dict[str, Any] = {} if wrong is None else _precision_recall(named & own, wrong & own)
    return ClassReport(name, int(own.sum()), int((named & own).sum()), mean, needed, **quality)


def _precision_recall(named: Bools, wrong: Bools) -> dict[str, float | None]:
    right = float((named & wrong).sum())
    return {
        "precision": right / float(named.sum()) if named.any() else None,
        "recall": right / float(wrong.sum()) if wrong.any() else None,
    }


def _groups(labels: Ints, size: int, named: Bools, wrong: Bools) -> tuple[dict[str, Any], ...]:
    """Return precision and recall over all rows, and over those whose given label is of each group."""
    split = shot_groups(np.bincount(labels, minlength=size))
    parts = {"all": range(size), "many": split.many, "medium": split.medium, "few": split.few}
    lines = []
    for group, members in parts.items():
        own = np.isin(labels, list(members))
        if own.any():
            numbers = {"rows": int(own.sum()), "wrong": int((wrong & own).sum()), "suspects": int((named & own).sum())}
            lines.append({"group": group, **numbers, **_precision_recall(named & own, wrong & own)})
    return tuple(lines)


def _class_notes(reports: Sequence[ClassReport], unseen: int) -> list[str]:
    notes = []
    if unseen:
        rows = "1 row was" if unseen == 1 else f"{unseen} rows were"
        notes.append(f"{rows} in every training, so that nothing is known of them out of sample; they are no suspects")
    said = [text for one in reports if (text := class_sentence(one.name, one.rows, one.needed, one.suspects))]
    more = [f"{len(said) - SPOKEN} further classes have too few rows"] if len(said) > SPOKEN else []
    return [*notes, *said[:SPOKEN], *more]
