"""One run as a comparison of a single row, from run.json and config.json: nothing is compared, all else is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from longtail.facts import json_documents
from longtail.facts.groups import groups
from longtail.facts.json_documents import Rule

Summary = dict[str, Any]

WAY_OUT = "train into another folder, or delete this one and give its command again"
RUN_RULES: dict[str, Rule] = {
    "method": str, "reference": (str, type(None)), "seed": int, "seconds": (int, float), "scores.per_class": dict,
    "scores.balanced_accuracy": (int, float, type(None)),
}  # fmt: skip
CONFIG_RULES: dict[str, Rule] = {
    "recipe.epochs": int, "data.name": str, "data.classes": list, "data.class_counts": list, "data.test_counts": list,
}  # fmt: skip
HIDDEN = ("candidates", "ambiguity")
"""Facts of data whose labels are candidate sets: their class counts are expected ones."""


def summary_of_run(folder: Path) -> Summary:
    """Return what comparison.json would say of this run alone; `kind` is "run".

    Raises:
        ValueError: run.json or config.json is missing, or was changed since it was written.
    """
    run, config = _read(folder / "run.json", RUN_RULES), _read(folder / "config.json", CONFIG_RULES)
    data = config["data"]
    members = groups(data["class_counts"])
    return {
        "kind": "run",
        "data": {
            **data,
            "class_counts": [_whole(n) for n in data["class_counts"]],
            "test_counts": [_whole(n) for n in data["test_counts"]],
            "counts_known": not any(name in data.get("facts", {}) for name in HIDDEN),
            "notes": [],
            "groups": {
                "rule": members.rule,
                "many": list(map(int, members.many)),
                "medium": list(map(int, members.medium)),
                "few": list(map(int, members.few)),
            },
        },
        "recipe": config["recipe"],
        "metric": "balanced_accuracy",
        "reference": run["method"],
        "seeds": [run["seed"]],
        "select": "last epoch",
        "failed": [],
        "missing": [],
        "verdict": None,
        "gain": None,
        "rows": [_row(run)],
        **({} if config.get("versions") is None else {"versions": config["versions"]}),
    }


def _row(run: Summary) -> Summary:
    """The row of the run; what only several runs have is left out."""
    scores = run["scores"]
    each = scores["per_class"]
    known = {name: value for name, value in scores.items() if isinstance(value, int | float | type(None))}
    ends = zip(each["recall"], each["low"], each["high"], strict=True)
    return {
        "method": run["method"],
        "key": run.get("key", run["method"]),
        "paper": run["reference"],
        "role": "reference",
        "retrains": run.get("retrains", True),
        "recipe_changes": {},
        "comparable": True,
        "epochs": {},
        "reuses": None,
        "mean": known,
        "std": dict.fromkeys(known),
        "varies": False,
        "recall": each["recall"],
        "recall_interval": [None if r is None or low is None else [low, high] for r, low, high in ends],
        "seconds": run["seconds"],
        "runs": [{"seed": run["seed"], "folder": ".", "seconds": run["seconds"]}],
    }


def _read(path: Path, rules: dict[str, Rule]) -> Summary:
    written = json_documents.read(path, WAY_OUT).get("schema_version")
    return json_documents.read_sealed(path, written if isinstance(written, int) else 0, rules, WAY_OUT)


def _whole(count: float) -> float:
    """A count of rows as a whole number; sums of weights need not be."""
    return int(count) if float(count).is_integer() else count
