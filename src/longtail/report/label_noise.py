"""Wrong labels by class as text: what `longtail inspect` prints of noise that was put on clean labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len

from longtail.report.class_runs import LABEL, MOST_LINES
from longtail.report.printable import fitted, shortened
from longtail.report.rows import percent
from longtail.report.text_table import aligned

ORIGINS = 3
"""True classes that are named beside a given one."""


def table(found: Mapping[str, Any], *, ascii_only: bool = False) -> list[str]:
    """Return the lines of the table, a given class each; of more than 12 classes those with most wrong labels.

    Args:
        found: `label_noise` of an inspection.
        ascii_only: whether names are written in ASCII.
    """
    classes: Sequence[Mapping[str, Any]] = found["classes"]
    order = sorted(range(len(classes)), key=lambda j: (-classes[j]["wrong"], j))[:MOST_LINES]
    lines = [["class", "true rows", "given rows", "wrong", "in %", "lost", "wrong ones are truly"]]
    for j in sorted(order):
        one = classes[j]
        lines.append(
            [
                shortened(one["class"], LABEL, ascii_only=ascii_only), str(one["true"]), str(one["given"]),
                str(one["wrong"]), percent(one["share_wrong"]), str(one["lost"]), _origins(one["from"], ascii_only),
            ]
        )  # fmt: skip
    width = max(cell_len(line[0]) for line in lines)  # a letter may take two columns
    numbers = aligned([line[1:-1] for line in lines], ">>>>>")
    return [
        f"{fitted(line[0], width)}  {middle}  {line[-1]}".rstrip() for line, middle in zip(lines, numbers, strict=True)
    ]


def sentences(found: Mapping[str, Any]) -> list[str]:
    """Return what the table's numbers are, over all classes."""
    expected = found["expected_rate"]
    of = "" if expected is None else f" ({percent(expected)} % expected over all draws)"
    few = (
        f"; the {MOST_LINES} of {len(found['classes'])} classes with most wrong labels"
        if len(found["classes"]) > MOST_LINES
        else ""
    )
    return [
        f"{found['wrong']:,} of {found['rows']:,} training labels are wrong, {percent(found['rate'])} %{of}; wrong: "
        f"rows with this label that are of another class; lost: rows of the class with another label{few}"
    ]


def _origins(counts: Mapping[str, int], ascii_only: bool) -> str:
    first = [f"{shortened(name, LABEL, ascii_only=ascii_only)}: {n}" for name, n in list(counts.items())[:ORIGINS]]
    rest = sum(counts.values()) - sum(list(counts.values())[:ORIGINS])
    return ", ".join([*first, *([f"others: {rest}"] if rest else [])])
