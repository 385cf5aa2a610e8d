"""The folder that a report is of: a comparison, or one finished run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from longtail.facts import json_documents
from longtail.facts.json_documents import DamagedError, Rule
from longtail.facts.messages import quoted
from longtail.report.page.single_run import summary_of_run

Summary = dict[str, Any]

COMPARISON, RUN, SEARCH = "comparison.json", "run.json", "tune.json"
SCHEMA = 1
"""Version of comparison.json that this code reads."""
WAY_OUT = "give the comparison's command again, which writes it anew from its runs"


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and all(type(number) in (int, float) for number in value)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


ROW_RULES: dict[str, Rule] = {
    "method": str, "mean": dict, "std": dict, "recall": list, "seconds": (int, float), "runs": list,
}  # fmt: skip
RULES: dict[str, Rule] = {
    "data.name": str,
    "data.classes": _texts,
    "data.class_counts": _numbers,
    "data.test_counts": _numbers,
    "data.groups": dict,
    "data.notes": _texts,
    "recipe.epochs": int,
    "metric": str,
    "reference": str,
    "seeds": list,
    "select": str,
    "failed": list,
    "missing": list,
    "verdict": (dict, type(None)),
    "gain": (dict, type(None)),
    "rows": lambda rows: isinstance(rows, list) and all(json_documents.violation(r, ROW_RULES) is None for r in rows),
}
"""What the page reads of comparison.json without asking; all else may be missing."""


def read(folder: Path) -> Summary:
    """Return the content of comparison.json, or what can be said of a single run.

    Raises:
        ValueError: the folder holds neither, or one that is damaged, in one line.
    """
    if (folder / COMPARISON).exists():
        return _comparison(folder / COMPARISON)
    if (folder / RUN).exists():
        return summary_of_run(folder)
    if not folder.is_dir():
        raise ValueError(f"RUNS must be a folder of longtail compare or longtail train, got {quoted(str(folder))}, "
                         f"{'a file' if folder.exists() else 'which does not exist'}; name the folder")  # fmt: skip
    if (folder / SEARCH).exists():
        raise ValueError(
            f"RUNS must be a folder of longtail compare or longtail train, and {folder} is one of longtail tune; its "
            "table is tune.md, its picture sensitivity.svg; compare --tune compares tuned methods"
        )
    raise ValueError(
        f"RUNS must be a folder of longtail compare or longtail train, and {folder} has neither {COMPARISON} nor "
        f"{RUN}; name another, or give its command again to finish it"
    )


def _comparison(path: Path) -> Summary:
    summary = json_documents.read(path, WAY_OUT)
    written = summary.get("schema_version")
    if type(written) is int and written > SCHEMA:
        raise ValueError(f"{path} was written by a newer version of longtail; update longtail")
    if (wrong := json_documents.violation(summary, RULES)) is not None:
        raise DamagedError(f"{path} is damaged ({wrong})", WAY_OUT)
    return summary
