"""Descriptions of the methods, for `longtail methods`, `longtail explain` and the README table."""

from __future__ import annotations

import math
from typing import Any

from longtail.catalogue.choose import Presets
from longtail.catalogue.method import Builders
from longtail.catalogue.resolve import docstring, resolve, signature
from longtail.catalogue.tasks import PARTIAL, SELF_SUPERVISED, SEMI_SUPERVISED, TASKS
from longtail.engine import Recipe
from longtail.facts import knobs
from longtail.facts.schedules import Schedule

LABELS = {"Works": "works", "Breaks": "breaks", "Paper and code": "differences"}
"""Label of a paragraph in a builder's docstring, as in "Works: ..." -> its field in the explanation."""

NETWORKS = "Networks, from one label a row"
CLASSIFIERS = "Classifiers of tables and features, without a network"
FAMILIES = {
    SEMI_SUPERVISED: "Networks, from few labels and many rows without",
    PARTIAL: "Networks, from sets of candidate labels",
    SELF_SUPERVISED: "Encoders, from rows without labels",
}
"""Task -> the heading of its methods; those of the task supervised have one of the two above."""
ROWS_OF_NUMBERS = "table or features"
"""`Method.inputs` of classifiers."""


def method_rows(builders: Builders, presets: Presets, task: str | None = None) -> list[dict[str, Any]]:
    """Return one dict per method: method, paper, year, task, signature, summary.

    Raises:
        ValueError: no method is for that task.
    """
    rows = [explanation(key, builders, presets) for key in builders]
    if task is not None:
        known = sorted({row["task"] for row in rows})
        rows = [row for row in rows if row["task"] == task]
        if not rows:
            raise ValueError(f"task must be one of {', '.join(known)}, got {task!r}; leave it out for all methods")
    return rows


def explanation(name: str, builders: Builders, presets: Presets) -> dict[str, Any]:
    """Describe one method; `spec` is the canonical form of the string given.

    `summary`, `equation`, `works`, `breaks`, `differences` and `body` are its builder's docstring, see `paragraphs`.
    """
    method = resolve(name, builders)
    builder, twin = builders[method.key], method.twin or TASKS[method.task].reference
    return {
        "method": method.key,
        "spec": method.spec,
        "paper": method.reference.short,
        "year": method.reference.year,
        "title": method.reference.title,
        "task": method.task,
        **paragraphs(docstring(builder)),
        "signature": signature(method.key, builder),
        "knobs": [
            {"name": k.name, "default": _as_json(k.default), "range": None if k.rule is None else str(k.rule)}
            for k in knobs.declared(builder).values()
        ],
        "example": [] if method.example is None else method.example(),
        "retrains": method.retrains,
        "trains": method.trains,
        "eager": {stage.name: stage.eager for stage in method.stages(Recipe()) if stage.eager},
        "reads": None if method.retrains else resolve(twin, builders).key,
        "twin": None if twin == method.spec else twin,
        "needs_val": method.needs_val,
        "inputs": method.inputs,
        "presets": [p for p in presets.keys if method.key in presets.of(p, table=True)],
        "bibtex": method.reference.bibtex,
    }


def paragraphs(text: str) -> dict[str, str]:
    """Divide a docstring into the fields of an explanation, "" for what it does not have.

    The first paragraph is the `summary`; the next one that has no label is the `equation`, where it is one ("a = b" or
    "predict ..."); labelled ones become the fields of `LABELS`, each on one line. The others are the `body`.
    """
    summary, *others = text.split("\n\n")
    labelled: dict[str, list[str]] = {field: [] for field in LABELS.values()}
    plain = []
    for paragraph in others:
        label, _, words = paragraph.partition(":")
        if label in LABELS:
            labelled[LABELS[label]] += words.split()
        else:
            plain.append(paragraph)
    has_equation = bool(plain) and (" = " in plain[0] or plain[0].startswith("predict "))
    return {
        "summary": summary,
        "equation": plain.pop(0) if has_equation else "",
        **{field: " ".join(words) for field, words in labelled.items()},
        "body": "\n\n".join(plain),
    }


def _as_json(default: Any) -> Any:
    """Return a default for JSON: a schedule and infinity as text."""
    plain = not isinstance(default, Schedule) and default not in (math.inf, -math.inf)
    return default if plain else repr(default)


def families(methods: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return heading -> methods, from `method_rows`: networks, classifiers without one, then a family for each task."""
    found: dict[str, list[dict[str, Any]]] = {words: [] for words in (NETWORKS, CLASSIFIERS, *FAMILIES.values())}
    for row in methods:
        plain = CLASSIFIERS if row["inputs"] == ROWS_OF_NUMBERS else NETWORKS
        found.setdefault(FAMILIES.get(row["task"], plain), []).append(row)
    return {words: rows for words, rows in found.items() if rows}


def table(methods: list[dict[str, Any]]) -> str:
    """Return the README's tables of methods, one for each of `families`."""
    parts = []
    for words, rows in families(methods).items():
        lines = [f"**{words}**", "", "| method | paper | year | what it is |", "|---|---|---|---|"]
        lines += [
            f"| `{row['method']}` | {row['paper'].rsplit(' ', 1)[0]} | {row['year']} | {row['summary']} |"
            for row in rows
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
