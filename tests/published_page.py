"""The tables of docs/published.md: published numbers and ours, one table per benchmark, and the protocols."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from longtail.comparison.benchmarks import usual_protocol
from longtail.facts import ledger
from longtail.facts.ledger import NOT_SAID, Protocol, Published, mark, reasons
from longtail.methods import catalogue
from longtail.report.reproduction import spread
from longtail.report.text_table import markdown_table

OURS = {
    "ours": usual_protocol("cifar10-lt-100"),
    "ours, candidate sets": usual_protocol(ledger.AMBIGUOUS[0]),
    "ours, few labels": usual_protocol(ledger.FEW_LABELS[0]),
    "ours, wrong labels": usual_protocol("cifar10-noise-symmetric-0.4"),
}
NUMBERS = ("method", "error, %", "epoch", "", "source", "protocol", "note")
FIELDS = [field.name for field in fields(Protocol)[1:-1]]


def numbers() -> str:
    """One table per benchmark, sorted by method; ours below the published numbers of a method."""
    parts = []
    for name in ledger.NAMES:
        rows = [(row.method, 0, _published(row)) for row in ledger.published() if row.benchmark == name]
        rows += [
            (row["method"], 1, line) for row in ledger.measured() if row["benchmark"] == name for line in _ours(row)
        ]
        if rows:
            lines = [line for *_, line in sorted(rows, key=lambda row: row[:2])]
            parts.append(f"### {name}\n\n{markdown_table([NUMBERS, *lines], '<><<<<<')}")
    return "\n\n".join(parts)


def protocols() -> str:
    """The key of every protocol, its fields, and why its numbers are not comparable with ours."""
    head = ["key", *(name.replace("_", " ") for name in FIELDS), "not comparable with ours because of", "note"]
    lines = [head, *(_protocol(key, ours, "") for key, ours in OURS.items())]
    compared = {row.protocol.key: usual_protocol(row.benchmark) for row in ledger.published()}
    for key, theirs in ledger.protocols().items():
        why = reasons(theirs, compared[key])
        lines.append(_protocol(key, theirs, f"{mark(why)} {'; '.join(why)}".strip()))
    return markdown_table(lines, "<" * len(head))


def _protocol(key: str, protocol: Protocol, why: str) -> list[str]:
    select = protocol.select or ("last and best-test" if key in OURS else NOT_SAID)
    values = {**{name: getattr(protocol, name) or NOT_SAID for name in FIELDS}, "select": select}
    return [key, *values.values(), why, protocol.note]


def _published(row: Published) -> tuple[str, ...]:
    usual = ledger.protocols()[row.protocol.key]
    changed = [name for name in FIELDS if name != "select" and getattr(row.protocol, name) != getattr(usual, name)]
    changes = [f"{name.replace('_', ' ')} {getattr(row.protocol, name) or NOT_SAID}" for name in changed]
    method = f"`{row.method}`" if row.method.partition("(")[0] in catalogue() else row.method
    error = spread({"mean": row.error, "std": row.std})
    note = "; ".join(filter(None, (row.variant, *changes, row.note)))
    chosen = row.protocol.select or NOT_SAID
    return (
        method,
        error,
        chosen,
        mark(row.not_comparable(usual_protocol(row.benchmark))),
        row.source,
        row.protocol.key,
        note,
    )


def _ours(row: dict[str, Any]) -> list[tuple[str, ...]]:
    """The last epoch, and the best one on the test set where it was chosen among several."""
    apart = "; ".join([*row["deviations"], *(f"{k} {v}" for k, v in row["recipe_changes"].items())])
    seeds = f"**longtail**, {len(row['seeds'])} seed{'s' * (len(row['seeds']) > 1)}"
    ends = [("last", row["last"])]
    if row["best_test"] not in (None, row["last"]):
        ends.append(("best-test", row["best_test"]))
    return [
        (f"`{row['method']}`", f"**{spread(value)}**", end, "≠" if apart else "=", seeds, "ours", apart)
        for end, value in ends
    ]
