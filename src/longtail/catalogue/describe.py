"""The catalogue in words: what `longtail methods`, `longtail explain` and the README table show."""

from __future__ import annotations

import math
from typing import Any

from longtail.catalogue.choose import Presets
from longtail.catalogue.method import Builders, Method
from longtail.catalogue.resolve import described, resolve, signature
from longtail.engine import Recipe
from longtail.facts import knobs
from longtail.facts.schedules import Schedule


def rows(builders: Builders, presets: Presets, task: str | None = None) -> list[dict[str, Any]]:
    """One dict per method: method, paper, year, task, signature, summary.

    Raises:
        ValueError: no method is for that task.
    """
    found = [explanation(key, builders, presets) for key in builders]
    if task is not None:
        known = sorted({row["task"] for row in found})
        found = [row for row in found if row["task"] == task]
        if not found:
            raise ValueError(f"task must be one of {', '.join(known)}, got {task!r}; leave it out for all methods")
    return found


def explanation(name: str, builders: Builders, presets: Presets) -> dict[str, Any]:
    """Everything about one method; `spec` is the canonical form of the string given."""
    method = resolve(name, builders)
    builder = builders[method.key]
    text = described(builder)
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
        "example": [] if method.example is None else method.example(),
        "retrains": method.retrains,
        "trains": method.trains,
        "reads": None if method.retrains else _read_by(method, builders),
        "needs_val": method.needs_val,
        "inputs": method.inputs,
        "presets": [p for p in presets.keys if method.key in presets.of(p, table=True)],
        "bibtex": method.reference.bibtex,
    }


def _read_by(found: Method, builders: Builders) -> str:
    """The method whose training is re-read: the first that has the same stages and no rule of its own."""
    recipe = Recipe()
    text = [stage.spec for stage in found.stages(recipe)]
    plain = (resolve(key, builders) for key in builders if key != found.key)
    return next((m.key for m in plain if m.retrains and [s.spec for s in m.stages(recipe)] == text), found.key)


def _written(default: Any) -> Any:
    """A default as JSON can have it: a schedule and infinity by their text."""
    plain = not isinstance(default, Schedule) and default not in (math.inf, -math.inf)
    return default if plain else repr(default)


def table(methods: list[dict[str, Any]]) -> str:
    """The README's table of methods, from the rows that `rows` gives."""
    lines = ["| method | paper | year | what it is |", "|---|---|---|---|"]
    lines += [
        f"| `{row['method']}` | {row['paper'].rsplit(' ', 1)[0]} | {row['year']} | {row['summary']} |"
        for row in methods
    ]
    return "\n".join(lines)
