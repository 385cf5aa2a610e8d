"""The result as text: classes with what can be said of them, then the worst suspects."""

from __future__ import annotations

import html as markup
import textwrap

from longtail.labels.found import Found
from longtail.labels.out_of_sample import Evidence
from longtail.report.printable import shortened, shown
from longtail.report.text_table import aligned

TOP = 10
"""Suspects that a table shows."""
WIDTH = 80
"""Columns of a terminal."""
FILE, NAME = 13, 10
"""Columns of a terminal for the name of a file and of a class, so that a line of the suspects fits 80."""
LEGEND = "p: out-of-sample probability of the given label / of the likely one."
NEGATIVE = "negative: epochs in which another class had a larger logit, of all epochs."


def plain(result: Found, top: int = TOP) -> str:
    """Return the tables in aligned columns, for print."""
    parts = [headline(result), "", *aligned(_classes(result), "<" + ">" * (len(_classes(result)[0]) - 1))]
    if result.groups:
        parts += ["", *aligned(_groups(result), "<>>>>>")]
    if result.rows:
        lines = _suspects(result, top)
        parts += ["", *aligned(lines, "><<<" + ">" * (len(lines[0]) - 4)), *_legend(result)]
    notes = (textwrap.fill(note, WIDTH, break_on_hyphens=False, break_long_words=False) for note in result.notes)
    return "\n".join([*(line.rstrip() for line in parts), "", *notes]).rstrip()


def html(result: Found, top: int = TOP) -> str:
    """Return the tables for a notebook."""

    def row(tag: str, line: list[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{markup.escape(cell)}</{tag}>" for cell in line) + "</tr>"

    def table(lines: list[list[str]]) -> str:
        body = "".join(row("td", line) for line in lines[1:])
        return f"<table><thead>{row('th', lines[0])}</thead><tbody>{body}</tbody></table>"

    tables = [_classes(result)] + [_groups(result)] * bool(result.groups) + [_suspects(result, top)] * bool(result.rows)
    notes = "".join(f"<p>{markup.escape(note)}</p>" for note in result.notes)
    return f"<p><b>{markup.escape(headline(result))}</b></p>" + "".join(map(table, tables)) + notes


def headline(result: Found) -> str:
    """Return the result in one sentence."""
    by = f" by {result.method}" if result.method else ""
    of = f" of {shown(result.name)}" if result.name else ""
    return f"{len(result.rows)} of {len(result.scores)} training labels{of} are suspects{by}"


def _classes(result: Found) -> list[list[str]]:
    known = bool(result.groups)
    head = ["class", "rows", "suspects", "wrong (estimate)", "rows needed"] + ["precision", "recall"] * known
    lines = [head]
    for one in result.classes:
        needed = "unknown" if one.needed is None else f"{one.needed}{'' if one.enough else ' (too few)'}"
        line = [shortened(one.name, 12 if known else 28), str(one.rows), str(one.suspects), _percent(one.wrong), needed]
        lines.append(line + [_percent(one.precision), _percent(one.recall)] * known)
    return lines


def _groups(result: Found) -> list[list[str]]:
    lines = [["group", "rows", "wrong labels", "suspects", "precision", "recall"]]
    for one in result.groups:
        numbers = [str(one[name]) for name in ("rows", "wrong", "suspects")]
        lines.append([one["group"], *numbers, _percent(one["precision"]), _percent(one["recall"])])
    return lines


def _suspects(result: Found, top: int) -> list[list[str]]:
    """The worst suspects in few columns; the file has `why` in words."""
    evidence, classes = result.evidence, [one.name for one in result.classes]
    margins = _has_margins(result)
    lines = [["row", "file", "given", "likely", "score", "rank", "p"] + ["negative"] * margins]
    place = {int(row): i for i, row in enumerate(result.index)}
    for one in result.rows[:top]:
        names = [_end(one.file), *(shortened(name, NAME) for name in (one.given, one.likely))]
        line = [str(one.row), *names, f"{one.score:.2f}", f"{one.rank}/{one.of}"]
        i = place[one.row]
        p = "-"
        if evidence is not None:
            own, other = (evidence.probabilities[i, classes.index(name)] for name in (one.given, one.likely))
            p = f"{own:.2f}/{other:.2f}"
        lines.append(line + [p] + [_negative(evidence, i)] * margins)
    return lines


def _end(file: str) -> str:
    """The end of a path, which tells images of a folder apart."""
    text = shown(file, longest=1000)
    return text if len(text) <= FILE else "…" + shortened(text[-FILE + 1 :], FILE - 1)


def _has_margins(result: Found) -> bool:
    return result.evidence is not None and result.evidence.measured is not None


def _negative(evidence: Evidence | None, row: int) -> str:
    """How often the margin of a row was negative, of all measurements."""
    if evidence is None or evidence.negative is None or evidence.measured is None or not evidence.measured[row]:
        return "-"
    return f"{evidence.negative[row]}/{evidence.measured[row]}"


def _legend(result: Found) -> list[str]:
    return [LEGEND, NEGATIVE] if _has_margins(result) else [LEGEND]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"
