"""Repairs to make in the data before training, in the order in which to make them."""

from __future__ import annotations

import shlex
from typing import NamedTuple

from longtail.inspection.sentences import Document, plural
from longtail.report.printable import listed

DEFAULT_SHARE = 0.01
"""A set of equal rows of at least this share of all rows is taken for a default value, not for copies."""


class Step(NamedTuple):
    """One piece of advice: a stable key, what to do, why, and the command for it if there is one."""

    about: str
    do: str
    why: str
    command: str | None = None


def repairs(document: Document, data: str) -> list[Step]:
    """Return the repairs: files, then columns, then rows, then classes, as each may change what comes after it.

    Args:
        document: the inspection.
        data: the data and their options as given on the command line, without --drop for the columns to leave out.
    """
    return [*_files(document), *_columns(document, data), *_rows(document), *_classes(document)]


def drop_options(document: Document) -> list[str]:
    """Return the options that leave out the flagged columns of a table."""
    if document["kind"] != "table":
        return []
    return [f"--drop {shlex.quote(c['name'])}" for c in (document["columns"] or {}).get("identifying", [])]


def _files(document: Document) -> list[Step]:
    if not (count := document["unreadable"]["files"]):
        return []
    do = f"replace the {plural(count, 'file', 'files')} that cannot be read, or leave out with --skip-bad, as below"
    return [Step("unreadable", do, "otherwise compare refuses the data")]


def _columns(document: Document, data: str) -> list[Step]:
    columns = document["columns"] or {"identifying": [], "leaking": []}
    flagged, steps = [c["name"] for c in columns["identifying"]], []
    leaking = [c["name"] for c in columns["leaking"] if c["name"] not in flagged]
    options, table = drop_options(document), document["kind"] == "table"
    why = "what is learnt from a row's number or its place in the file is of no use on new rows"
    if flagged:
        do = f"leave out {listed(flagged)}" if table else f"take {listed(flagged)} out of X"
        steps.append(Step(
            "identifiers",
            f"{do}, if {'it names, numbers or dates' if len(flagged) == 1 else 'they name, number or date'} the rows",
            why, f"longtail inspect {with_options(data, options)}" if table else None,
        ))  # fmt: skip
    if leaking:
        more = [*options, *(f"--drop {shlex.quote(name)}" for name in leaking)]
        steps.append(Step(
            "leaking-columns", f"check whether {listed(leaking)} is known before the class is, and leave it out if not",
            "a column that alone predicts the class is often a consequence of it",
            f"longtail inspect {with_options(data, more)}" if table else None,
        ))  # fmt: skip
    return steps


def _rows(document: Document) -> list[Step]:
    steps, conflicts, copies = [], document["conflicts"], document["duplicates"]
    if groups := document["group_leaks"]["groups"]:
        steps.append(Step(
            "group-leaks", "declare the split again with each group on one side",
            f"{plural(groups, 'group', 'groups')} on both sides let a model recognise the group, not the class",
        ))  # fmt: skip
    if conflicts["rows"] and not (conflicts["sets"] == 1 and _has_default(document)):
        steps.append(Step(
            "conflicts", "correct the rows that are equal and labelled differently, where a label is wrong",
            f"{plural(conflicts['sets'], 'content has', 'contents have')} several labels: wrong labels, or inputs that "
            "do not separate the classes",
        ))  # fmt: skip
    if copies["rows"]:
        steps.append(_copies(document))
    elif (leak := document["leaks"])["rows"]:
        steps.append(
            Step(
                "leaks",
                "take the copies of training rows out of the other parts",
                f"{plural(leak['rows'], 'row was', 'rows were')} trained on",
            )
        )
    return steps


def _has_default(document: Document) -> bool:
    """Whether the largest set of equal rows is a default or a coarse measurement rather than copies."""
    return bool(document["duplicates"]["largest"] >= max(DEFAULT_SHARE * document["rows"], 10))


def _copies(document: Document) -> Step:
    copies, leak = document["duplicates"], document["leaks"]
    why = f"{plural(copies['rows'], 'row counts', 'rows count')} twice"
    if leak["rows"]:
        why = f"{plural(leak['rows'], 'tested row was', 'tested rows were')} trained on"
    if _has_default(document):
        why = f"content that occurs {copies['largest']:,} times is a default or a coarse measurement, not a copy"
        mixed = ", and where it has several labels no method can separate them" if document["conflicts"]["rows"] else ""
        do = "check what the largest set of equal rows is, and keep it unless it is an error"
        return Step("duplicates", do, why + mixed)
    if leak["declared"] and leak["rows"]:
        return Step("duplicates", "take the copies of training rows out of the other parts", why)
    if document["kind"] != "table":
        return Step("duplicates", "keep one of each set of equal rows", why)
    return Step(
        "duplicates", "keep one of each set of equal rows, or where all are meant, number the sets in a column and "
        "name it with --group, which keeps a set in one part", why,
    )  # fmt: skip


def _classes(document: Document) -> list[Step]:
    steps = []
    if document["labels"]["twins"]:
        why = "each twin is learnt as a class of its own"
        steps.append(Step("twins", "write class names that mean one class alike", why))
    if single := document["singletons"]:
        steps.append(Step(
            "singletons", f"merge {listed(single)} into other classes, or collect more of {_them(single)}",
            "with one example a class cannot be both trained and tested, whatever the method",
        ))  # fmt: skip
    return steps


def _them(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"


def with_options(data: str, options: list[str]) -> str:
    """Add options to the data of a command, each once."""
    return " ".join([data, *(option for option in options if f" {option} " not in f"{data} ")])
