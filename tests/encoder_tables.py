"""The tables of docs/performance.md about encoders, from committed results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def _rows(rows: dict[str, Any]) -> list[str]:
    return [
        f"| {name} | {r['ms']:.0f} | {r['min_ms']:.0f} | {r['ratio']:.2f} | {r['min_ratio']:.2f} |"
        for name, r in rows.items()
    ]


def _head(what: str) -> list[str]:
    titles = (what, "ms, median", "ms, least", "ratio, median of rounds", "ratio of the least")
    return [f"| {' | '.join(titles)} |", "|---|---:|---:|---:|---:|"]


def step() -> str:
    """SimCLR's step beside its floor."""
    found = json.loads((RESULTS / "contrast.json").read_text())
    lines = _head(f"ResNet-18, N = {found['batch']}")
    for precision, rows in found["step"].items():
        lines += _rows({f"{name}, {precision}": row for name, row in rows.items()})
    return "\n".join(lines)


def view() -> str:
    """Our contrastive view beside kornia's operations."""
    found = json.loads((RESULTS / "contrast.json").read_text())
    return "\n".join(_head("one view of 512 images") + _rows(found["view"]))


def peers() -> str:
    """NT-Xent and InfoNCE beside lightly's."""
    found = json.loads((RESULTS / "contrast-peers.json").read_text())
    n, d = found["shape"]
    lines = _head(f"({n}, {d}), forward + backward")
    for group in ("NT-Xent", "with a queue"):
        lines += _rows({f"{group}: {name}": row for name, row in found[group].items()})
    return "\n".join(lines)
