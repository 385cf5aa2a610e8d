"""Why a label is a suspect, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longtail.labels.out_of_sample import Evidence


def reason(evidence: Evidence, row: int, given: int, likely: int, classes: Sequence[str]) -> str:
    """Return what the trainings said of one row: its probabilities, and how often its margin was negative."""
    own, other = evidence.probabilities[row, given], evidence.probabilities[row, likely]
    said = f"out-of-sample probability of its label {own:.2f}, of {classes[likely]} {other:.2f}"
    if evidence.margins is None or evidence.negative is None or evidence.measured is None:
        return said
    seen = evidence.margins[row][~np.isnan(evidence.margins[row])]
    if not evidence.measured[row] or not len(seen):
        return said
    share = f"margin negative in {evidence.negative[row]} of {evidence.measured[row]} epochs"
    return f"{said}; {share}, on average in {int((seen < 0).sum())} of {len(seen)} trainings"


def class_sentence(name: str, rows: int, needed: int | None, suspects: int) -> str | None:
    """Return what cannot be said of a class; None where it has rows enough."""
    if needed is not None and rows >= needed:
        return None
    number = f"{suspects} of its {rows} labels {'is a suspect' if suspects == 1 else 'are suspects'}"
    if rows == 1:
        return f"{name}: nothing can be said of its only row; {needed or 2} rows would be needed"
    if needed is None:
        return (
            f"{name}: nothing is learnt of it yet, its rows are recognised no more often than others are taken for it "
            f"({number}, by what they look like of other classes alone)"
        )
    return (
        f"{name}: {rows} rows are too few to tell a right label from a wrong one, about {needed} are needed ({number})"
    )
