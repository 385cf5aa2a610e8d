"""The result as text: classes with what can be said of them, then the worst suspects."""

from __future__ import annotations

import html as markup
from typing import TYPE_CHECKING

from longtail.report.printable import shown
from longtail.report.text_table import aligned

if TYPE_CHECKING:
    from longtail.labels.result import Suspects

TOP = 10
"""Suspects that a table shows."""


def plain(result: Suspects, top: int = TOP) -> str:
    """Return the tables in aligned columns, for print."""
    parts = [headline(result), "", *aligned(_classes(result), "<" + ">" * (len(_classes(result)[0]) - 1))]
    if result.groups:
        parts += ["", *aligned(_groups(result), "<>>>>>")]
    if result.rows:
        parts += ["", *aligned(_suspects(result, top), "><<<>><")]
    return "\n".join([*(line.rstrip() for line in parts), "", *result.notes]).rstrip()


def html(result: Suspects, top: int = TOP) -> str:
    """Return the tables for a notebook."""

    def row(tag: str, line: list[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{markup.escape(cell)}</{tag}>" for cell in line) + "</tr>"

    def table(lines: list[list[str]]) -> str:
        body = "".join(row("td", line) for line in lines[1:])
        return f"<table><thead>{row('th', lines[0])}</thead><tbody>{body}</tbody></table>"

    tables = [_classes(result)] + [_groups(result)] * bool(result.groups) + [_suspects(result, top)] * bool(result.rows)
    notes = "".join(f"<p>{markup.escape(note)}</p>" for note in result.notes)
    return f"<p><b>{markup.escape(headline(result))}</b></p>" + "".join(map(table, tables)) + notes


def headline(result: Suspects) -> str:
    """Return the result in one sentence."""
    by = f" by {result.method}" if result.method else ""
    of = f" of {shown(result.name)}" if result.name else ""
    return f"{len(result.rows)} of {len(result.scores)} training labels{of} are suspects{by}"


def _classes(result: Suspects) -> list[list[str]]:
    known = bool(result.groups)
    head = ["class", "rows", "suspects", "wrong (estimate)", "rows needed"] + ["precision", "recall"] * known
    lines = [head]
    for one in result.classes:
        needed = "unknown" if one.needed is None else f"{one.needed}{'' if one.enough else ' (too few)'}"
        line = [shown(one.name), str(one.rows), str(one.suspects), _percent(one.wrong), needed]
        lines.append(line + [_percent(one.precision), _percent(one.recall)] * known)
    return lines


def _groups(result: Suspects) -> list[list[str]]:
    lines = [["group", "rows", "wrong labels", "suspects", "precision", "recall"]]
    for one in result.groups:
        numbers = [str(one[name]) for name in ("rows", "wrong", "suspects")]
        lines.append([one["group"], *numbers, _percent(one["precision"]), _percent(one["recall"])])
    return lines


def _suspects(result: Suspects, top: int) -> list[list[str]]:
    lines = [["row", "file", "given", "likely", "score", "rank", "why"]]
    for one in result.rows[:top]:
        names = [shown(name) for name in (one.file, one.given, one.likely)]
        lines.append([str(one.row), *names, f"{one.score:.3f}", f"{one.rank}/{one.of}", shown(one.why, longest=200)])
    return lines


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"
