"""expected.json: what a comparison measured of a model's method, beside a model that has no scores of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from longtail.facts import json_documents
from longtail.facts.json_documents import Rule, is_list_of

FILE = "expected.json"
SCHEMA = 1
WAY_OUT = "delete that file and run the same command again, which writes it anew"


def _is_interval(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(end), int | float) for end in ("mean", "low", "high"))


_RULES: dict[str, Rule] = {
    "comparison": str, "method": str, "metric": str, "classes": is_list_of(str), "rows": int,
    "metrics": lambda value: isinstance(value, dict) and all(map(_is_interval, value.values())),
    "per_class": dict, "select": str,
}  # fmt: skip


def write(folder: Path, expected: dict[str, Any]) -> None:
    """Write an estimate into a model's folder, in place of one before; raises OSError."""
    json_documents.write_sealed(folder / FILE, {"schema_version": SCHEMA, **expected})


def read(folder: Path) -> dict[str, Any] | None:
    """Return the estimate in a model's folder, None where there is none.

    Raises:
        DamagedError: it was changed or is damaged.
    """
    if not (folder / FILE).exists():
        return None
    return json_documents.read_sealed(folder / FILE, SCHEMA, _RULES, WAY_OUT)
