"""The checks of an inspection by stable code: how each is detected, why it matters, what to do.

A code keeps its meaning for ever; one that is no longer used is not given to another check.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, NamedTuple

from longtail.facts.messages import quoted
from longtail.inspection.sentences import Found


class Check(NamedTuple):
    """One check; `severity` is "error" (numbers would be wrong), "warning" (they mislead) or "note"."""

    severity: str
    title: str
    detected: str
    why: str
    do: str


CHECKS = {
    "LT001": Check(
        "error", "files that cannot be read", "every file was opened and decoded",
        "their rows are missing from training and test, perhaps more of one class than of others",
        "mend or remove them; --skip-bad leaves them out",
    ),
    "LT002": Check(
        "warning", "copies of rows", "rows with equal values (columns that identify rows left out) or equal pixels",
        "a class looks larger than it is, and copies in two parts make the test easy",
        "keep one of each set, or number the sets in a column and name it with --group, which keeps a set in one part",
    ),
    "LT003": Check(
        "warning", "equal rows with different labels", "equal values or pixels under two labels or more",
        "no classifier can be right on all of them, and rare classes lose most",
        "correct the labels, or add what tells these rows apart; longtail labels lists wrong ones",
    ),
    "LT004": Check(
        "error", "test rows in the training part", "rows of the test part that equal a training row",
        "their labels are memorised, so the test promises too much",
        "take the copies out of the other parts, or number the sets of copies in a column and name it with --group",
    ),
    "LT005": Check(
        "error", "validation rows in the training part", "rows of the validation part that equal a training row",
        "thresholds, calibration and sets that are fitted on them are too sure",
        "as for test rows in the training part",
    ),
    "LT006": Check(
        "error", "groups in two parts", "a value of --group that occurs in two declared parts",
        "rows of one patient, user or scene resemble each other, so the test promises too much",
        "declare the split again with each group on one side, or leave it to --group",
    ),
    "LT007": Check(
        "warning", "columns that number, identify or follow the rows", "order and uniqueness of a column's values",
        "a model learns the order in which rows were collected, which new rows do not have",
        "leave them out: --drop COLUMN",
    ),
    "LT008": Check(
        "note", "columns of one value", "one value in at least 99.9 % of the rows",
        "they tell nothing, and a new value of theirs is a surprise to the model",
        "leave them out: --drop COLUMN",
    ),
    "LT009": Check(
        "warning", "columns that predict the class alone", "a tree on the one column, judged on held-out rows",
        "such a column was often written after the class was known, so that new rows do not have it",
        "find out when it is known; leave it out with --drop COLUMN",
    ),
    "LT010": Check(
        "warning", "class names that differ by a typing error", "names equal but for case, white space or marks",
        "one class is counted as two, and the smaller looks rare", "write one name",
    ),
    "LT011": Check(
        "warning", "class names with invisible characters", "white space at an end, control or format characters",
        "they look like another name in every table", "write the names without them",
    ),
    "LT012": Check(
        "note", "class names that join names of other classes", "a separator between names that are classes too",
        "where one of them is true, such a row is no class of its own but a set of candidates",
        'pass --candidates with the separator, as in --candidates "|"',
    ),
    "LT013": Check(
        "warning", "test rows among the rows without labels", "test rows that equal a row without a label",
        "training sees the inputs that it is tested on", "remove them from the rows without labels",
    ),
    "LT014": Check(
        "warning", "other class shares in the rows without labels", "class shares by the model, with their uncertainty",
        "methods that take the labels' shares for theirs are misled",
        'let the shares be estimated: fixmatch-darp(totals="em"), fixmatch-simpro',
    ),
    "LT015": Check(
        "note", "sizes of candidate sets", "the candidates of every training row were counted",
        "the more candidates, the less a row tells", "nothing, unless they are larger than you expect",
    ),
    "LT016": Check(
        "error", "classes that are candidates only beside another", "the candidate sets of every class were compared",
        "no method can tell the two apart", "add rows whose sets have one of them alone",
    ),
    "LT017": Check(
        "note", "rows with every class as a candidate", "the candidates of every training row were counted",
        "nothing can be learnt from them", "treat them as rows without labels, or leave them out",
    ),
    "LT018": Check(
        "warning", "classes with a single example", "rows of all parts were counted",
        "the class can be learnt or tested, not both", "collect rows, or join it with another class",
    ),
    "LT019": Check(
        "warning", "classes with a single training example", "training rows were counted",
        "nothing of what varies in the class can be learnt", "collect rows, or test with --folds",
    ),
    "LT020": Check(
        "warning", "classes with fewer than 10 test examples", "test rows were counted",
        "their recall is known to some tens of points only, so differences between methods cannot show",
        "test every row once with --folds 5, or collect rows",
    ),
    "LT021": Check(
        "warning", "cells that usually mean missing and are read as values", "cells such as ?, NA, None or -999",
        "they count as a category or a number of their own, and make categories of a column of numbers",
        'declare those that mean missing, as in --missing "?"; the model then reads new rows alike',
    ),
}  # fmt: skip


def checked_codes(codes: Iterable[str], name: str = "--ignore") -> frozenset[str]:
    """Return codes in upper case, checked.

    Raises:
        ValueError: a code that is none of `CHECKS`; the line names the nearest.
    """
    given = [code.strip().upper() for code in codes]
    for code in given:
        if code not in CHECKS:
            near = difflib.get_close_matches(code, CHECKS, n=1)
            hint = f"did you mean {near[0]}?" if near else "longtail inspect prints the code of every finding"
            known = f"{next(iter(CHECKS))} to {list(CHECKS)[-1]}"
            raise ValueError(f"{name} must be a comma list of codes from {known}, got {quoted(code)}; {hint}")
    return frozenset(given)


def checks(found: Iterable[Found]) -> list[dict[str, Any]]:
    """Return the checks that found something, in the order of their severity and codes, as plain JSON.

    Args:
        found: code and sentence, as `findings.found` returns them.
    """
    by_code: dict[str, list[str]] = {}
    for code, sentence in found:
        by_code.setdefault(code, []).append(sentence)
    rank = ("error", "warning", "note")
    ordered = sorted(by_code, key=lambda c: (rank.index(CHECKS[c].severity), c))
    return [{"code": code, **CHECKS[code]._asdict(), "found": by_code[code]} for code in ordered]
