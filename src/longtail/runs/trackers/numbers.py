"""Records, scores and configurations as trackers take them: flat names with one number or a short text each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

NO_SERIES = ("epoch", "progress", "seconds", "evaluation_seconds", "examples")
"""Numbers of a record that say how the epoch was, not what was learnt; seconds differ from run to run."""
ABOUT = ("method", "seed", "data", "recipe", "precision", "device", "threads", "calibrate", "select", "versions")
LEFT_OUT = ("data.classes", "data.class_counts", "data.test_counts", "data.facts.skipped")
LONGEST = 250
"""Characters of a parameter."""


def numbers(record: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Return the finite numbers of a record or of scores, nested ones under name/name; lists are left out."""
    pairs = ((name, value) for name, value in _flat(record, "/") if name not in NO_SERIES or prefix)
    found = {f"{prefix}{name}": float(value) for name, value in pairs if isinstance(value, int | float)}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def parameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of a run: what was trained and how, without its lists of classes."""
    pairs = _flat({name: config[name] for name in ABOUT if name in config}, ".")
    kept = {name: value for name, value in pairs if name not in LEFT_OUT and value is not None}
    return {name: v if isinstance(v, int | float | bool) else str(v)[:LONGEST] for name, v in kept.items()}


def _flat(value: Mapping[str, Any], between: str, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, one in value.items():
        if isinstance(one, Mapping):
            yield from _flat(one, between, f"{before}{name}{between}")
        else:
            yield f"{before}{name}", one
