"""The catalogue in words: what `longtail methods`, `longtail explain` and the README table show."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from longtail import knobs
from longtail.engine import Recipe
from longtail.methods import robust
from longtail.methods.catalog import ESTIMATORS, PRESETS, catalogue
from longtail.methods.definition import Method
from longtail.methods.resolve import describe, preset, signature
from longtail.methods.resolve import method as resolve
from longtail.schedules import Schedule

EXAMPLES: dict[str, Callable[[], list[str]]] = dict.fromkeys(("absgd", "absgd-decoupled", "abadam"), robust.example)
"""Worked examples, computed by the method's own parts: what `longtail explain` shows below the equation."""


def menu(task: str | None = None) -> list[dict[str, Any]]:
    """One dict per method: method, paper, year, task, signature, summary.

    Raises:
        ValueError: no method is for that task.
    """
    rows = [explained(key) for key in catalogue()]
    if task is not None:
        known = sorted({row["task"] for row in rows})
        rows = [row for row in rows if row["task"] == task]
        if not rows:
            raise ValueError(f"task must be one of {', '.join(known)}, got {task!r}; leave it out for all methods")
    return rows


def explained(name: str) -> dict[str, Any]:
    """Everything about one method; `spec` is the canonical form of the string given."""
    method = resolve(name)
    builder = catalogue()[method.key]
    text = describe(builder)
    summary, _, body = text.partition("\n\n")
    return {
        "method": method.key,
        "spec": method.spec,
        "paper": method.reference.short,
        "year": method.reference.year,
        "title": method.reference.title,
        "task": method.task,
        "summary": summary,
        "body": body,
        "signature": signature(method.key, builder),
        "knobs": [
            {"name": k.name, "default": _written(k.default), "range": None if k.rule is None else str(k.rule)}
            for k in knobs.declared(builder).values()
        ],
        "example": EXAMPLES[method.key]() if method.key in EXAMPLES else [],
        "retrains": method.retrains,
        "trains": "a scikit-learn classifier" if method.key in ESTIMATORS else "a network",
        "reads": None if method.retrains else _read_by(method),
        "needs_val": method.needs_val,
        "inputs": method.inputs,
        "presets": [p for p in PRESETS if method.key in preset(p, table=True)],
        "bibtex": method.reference.bibtex,
    }


def _read_by(found: Method) -> str:
    """The method whose training is re-read: the first that has the same stages and no rule of its own."""
    recipe = Recipe()
    text = [stage.spec for stage in found.stages(recipe)]
    plain = (resolve(key) for key in catalogue() if key != found.key)
    return next((m.key for m in plain if m.retrains and [s.spec for s in m.stages(recipe)] == text), found.key)


def _written(default: Any) -> Any:
    """A default as JSON can have it: a schedule and infinity by their text."""
    plain = not isinstance(default, Schedule) and default not in (math.inf, -math.inf)
    return default if plain else repr(default)


def table() -> str:
    """The README's table of methods."""
    lines = ["| method | paper | year | what it is |", "|---|---|---|---|"]
    lines += [
        f"| `{row['method']}` | {row['paper'].rsplit(' ', 1)[0]} | {row['year']} | {row['summary']} |" for row in menu()
    ]
    return "\n".join(lines)
