"""What to mend in the data before anything is trained, in the order in which it is done."""

from __future__ import annotations

import shlex
from typing import Any, NamedTuple

from longtail.inspection.findings import plural
from longtail.report.printable import listed

Found = dict[str, Any]

LUMP = 0.01
"""Share of all rows from which equal rows are taken for a default value and not for copies."""


class Step(NamedTuple):
    """One advice: a stable key, what to do, why, and the command that does it where there is one."""

    about: str
    do: str
    why: str
    command: str | None = None


def mending(found: Found, data: str) -> list[Step]:
    """Files first, then columns, then rows, then classes: each may change what is found after it.

    Args:
        found: what was found.
        data: the data and their options as the command line has them, without the columns that are to be dropped.
    """
    return [*_files(found), *_columns(found, data), *_rows(found), *_classes(found)]


def dropped(found: Found) -> list[str]:
    """Words that leave the flagged columns of a table out."""
    if found["kind"] != "table":
        return []
    return [f"--drop {shlex.quote(c['name'])}" for c in (found["columns"] or {}).get("identifying", [])]


def _files(found: Found) -> list[Step]:
    if not (count := found["unreadable"]["files"]):
        return []
    do = f"replace the {plural(count, 'file', 'files')} that cannot be read, or go on without, as below with --skip-bad"
    return [Step("unreadable", do, "compare refuses them else")]


def _columns(found: Found, data: str) -> list[Step]:
    columns = found["columns"] or {"identifying": [], "leaking": []}
    naming, steps = [c["name"] for c in columns["identifying"]], []
    told = [c["name"] for c in columns["leaking"] if c["name"] not in naming]
    words, table = dropped(found), found["kind"] == "table"
    why = "what is learnt from a row's number or its place in this file is worth nothing on new rows"
    if naming:
        do = f"leave out {listed(naming)}" if table else f"take {listed(naming)} out of X"
        steps.append(Step(
            "identifiers",
            f"{do}, if {'it names, numbers or dates' if len(naming) == 1 else 'they name, number or date'} the rows",
            why, f"longtail inspect {with_words(data, words)}" if table else None,
        ))  # fmt: skip
    if told:
        each = [*words, *(f"--drop {shlex.quote(name)}" for name in told)]
        steps.append(Step(
            "leaking-columns", f"find out whether {listed(told)} is known before the class is, and leave it out if not",
            "a column that tells the class alone is often a consequence of it",
            f"longtail inspect {with_words(data, each)}" if table else None,
        ))  # fmt: skip
    return steps


def _rows(found: Found) -> list[Step]:
    steps, clash, copies = [], found["conflicts"], found["duplicates"]
    if groups := found["group_leaks"]["groups"]:
        steps.append(Step(
            "group-leaks", "declare the split again with each group on one side",
            f"{plural(groups, 'group', 'groups')} on both sides let a model recognise the group, not the class",
        ))  # fmt: skip
    if clash["rows"] and not (clash["sets"] == 1 and _lump(found)):
        steps.append(Step(
            "conflicts", "correct the rows that are equal and labelled differently, where a label is wrong",
            f"{plural(clash['sets'], 'content has', 'contents have')} several labels: wrong labels, or inputs that do "
            "not tell the classes",
        ))  # fmt: skip
    if copies["rows"]:
        steps.append(_copies(found))
    elif (leak := found["leaks"])["rows"]:
        steps.append(
            Step(
                "leaks",
                "take the copies of training rows out of the other parts",
                f"{plural(leak['rows'], 'row was', 'rows were')} trained on",
            )
        )
    return steps


def _lump(found: Found) -> bool:
    """Whether the largest set of equal rows is a default or a coarse reading rather than copies."""
    return bool(found["duplicates"]["largest"] >= max(LUMP * found["rows"], 10))


def _copies(found: Found) -> Step:
    copies, leak = found["duplicates"], found["leaks"]
    why = f"{plural(copies['rows'], 'row counts', 'rows count')} twice"
    if leak["rows"]:
        why = f"{plural(leak['rows'], 'tested row was', 'tested rows were')} trained on"
    if _lump(found):
        lump = f"a content that occurs {copies['largest']:,} times is a default or a coarse reading rather than a copy"
        mixed = ", and where it has several labels no method can tell them" if found["conflicts"]["rows"] else ""
        do = "find out what the largest set of equal rows is, and keep it unless it is an error"
        return Step("duplicates", do, lump + mixed)
    if leak["declared"] and leak["rows"]:
        return Step("duplicates", "take the copies of training rows out of the other parts", why)
    if found["kind"] != "table":
        return Step("duplicates", "keep one of each set of equal rows", why)
    return Step(
        "duplicates", "keep one of each set of equal rows, or where all are meant, number the sets in a column and "
        "name it with --group, which keeps a set in one part", why,
    )  # fmt: skip


def _classes(found: Found) -> list[Step]:
    steps = []
    if found["labels"]["twins"]:
        why = "each twin is learnt as a class of its own"
        steps.append(Step("twins", "write class names that mean one class alike", why))
    if single := found["singletons"]:
        steps.append(Step(
            "singletons", f"merge {listed(single)} into other classes, or collect more of {_them(single)}",
            "of one example nothing is left to test with, whatever the method",
        ))  # fmt: skip
    return steps


def _them(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"


def with_words(data: str, words: list[str]) -> str:
    """The data with options, each once."""
    return " ".join([data, *(word for word in words if f" {word} " not in f"{data} ")])
