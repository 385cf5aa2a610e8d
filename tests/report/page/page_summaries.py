"""Comparisons and runs written by hand, well-behaved and hostile, and what a page consists of."""

from __future__ import annotations

import shlex
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from tests.report.report_summary import METRICS, row, summary

from longtail.facts.json_documents import write_sealed

EVIL = "<script>alert(1)</script><b onclick=x>&amp;\"'\x1b[31m\u202egnp\x00\u2028"
FORMULA = "=cmd|' /C calc'!A0"
FINDING = {"code": "LT003", "severity": "warning", "title": "Duplicates", "detected": "by content",
           "why": "the test part is not new", "do": "remove one", "found": ["2 rows"]}  # fmt: skip


def full(name: str = "hand", classes: tuple[str, ...] = ("a", "b", "c"), method: str = "ldam") -> dict[str, Any]:
    """A comparison with every entry that the page shows: winner, loser, undecided, twin, context, failed, findings."""
    recall = [0.9, 0.6, None]
    interval = [[0.8, 0.95], [0.3, 0.8], None]
    more = {"recall_interval": interval, "recipe_changes": {}, "epochs": {"train": 200}}
    rows = [
        row(method, 0.9, recall, difference={"mean": 0.1, "low": 0.05, "high": 0.15}, **more),
        row("focal", 0.8, recall, difference={"mean": 0.02, "low": -0.02, "high": 0.06},
            twin={"method": "trees", "mean": 0.01, "low": -0.1, "high": 0.12}, **more),
        row("ce", 0.75, recall[::-1], difference=None, **(more | {"recall_interval": interval[::-1]})),
        row("mixup", 0.7, recall, difference={"mean": -0.05, "low": -0.09, "high": -0.01}, **more),
        row("oracle", 0.95, recall, difference=None, role="context", **more),
    ]  # fmt: skip
    made = summary(rows=rows, task="supervised")
    made["data"] |= {"name": name, "classes": list(classes), "notes": [f"class {classes[0]} is odd"],
                     "test_counts": [20, 5, 0], "test_rows": [20, 5, 0]}  # fmt: skip
    made["gain"]["method"] = method
    made["verdict"] = {
        "sentence": f"{method} leads ce on {classes[0]}.", "winners": [method], "losers": ["mixup"],
        "undecided": ["focal"], "statistics": {"level": 0.95, "df": 1, "notes": []},
    }  # fmt: skip
    made["failed"] = [{"method": "bad", "seed": 1, "error": f"ValueError: {classes[1]}"}]
    made["missing"] = [{"method": "bad", "seed": 1}, {"method": "bad", "seed": 0}]
    made["findings"] = [FINDING | {"title": f"Duplicates of {classes[2]}", "found": [f"2 rows are {classes[2]}"]}]
    made["command"] = shlex.join(["longtail", "compare", name])
    for shift, one in enumerate(rows[:3]):
        one |= diagnosed(classes, shift)
    made["versions"] = {"longtail": "0.1.0", "python": name}
    return made


def diagnosed(classes: tuple[str, ...], shift: int) -> dict[str, Any]:
    """Entries of a row that the files of its runs give: curves of two classes, decisions of 20 + 5 test examples."""
    curve = {
        "recall": [0.4, 0.8, 1.0],
        "precision": [1.0, 0.5 + shift / 10, 0.3],
        "ap": 0.66 + 0.04 * shift,
        "share": 0.2,
    }
    return {
        "curves": {classes[1]: curve, classes[0]: curve | {"share": 0.8}},
        "confusion": {"matrix": [[18 - shift, 2 + shift, 0], [1, 3.5, 0.5], [0, 0, 0]]},
        "importance": {"repeats": 5, "seeds": 2, "rows": 25, "columns": [
            {"column": f"of {classes[0]}", "metric": 0.21, "metric_se": 0.02, "recall": [0.1, 0.42, None],
             "recall_se": [0.02, 0.25, None]},
            {"column": classes[1], "metric": 0.0, "metric_se": 0.0, "recall": [0.0, 0.0, None],
             "recall_se": [0.0, 0.0, None]},
        ]},
    }  # fmt: skip


def hostile() -> dict[str, Any]:
    """The same with names that are HTML, formulas, control and bidirectional characters."""
    return full(EVIL, (EVIL, FORMULA, "\x07\u200b\ud800"), EVIL)


def write_run(folder: Path, **scores: Any) -> Path:
    """A finished run's run.json and config.json."""
    folder.mkdir(parents=True)
    per_class = {"recall": [0.9, 0.5, None], "n": [10, 4, 0], "low": [0.6, 0.15, None], "high": [0.98, 0.85, None]}
    known = {**dict.fromkeys(METRICS, 0.7), "groups": "thirds", "per_class": per_class, **scores}
    run = {"schema_version": 3, "method": "ldam", "key": "ldam", "reference": "Cao et al. 2019", "retrains": True,
           "seed": 4, "reuses": None, "seconds": 2.5, "scores": known}  # fmt: skip
    data = {"name": "hand", "facts": {}, "classes": ["a", "b", "c"], "class_counts": [100.0, 10.0, 2.0],
            "test_counts": [10, 4, 0]}  # fmt: skip
    config = {"schema_version": 3, "method": "ldam", "seed": 4, "data": data, "recipe": {"epochs": 7},
              "versions": {"longtail": "0.1.0"}}  # fmt: skip
    write_sealed(folder / "run.json", run)
    write_sealed(folder / "config.json", config)
    return folder


class Parsed(HTMLParser):
    """A page: its tags in order, its attributes, its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.texts: list[str] = []
        self._within: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attributes]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        """All text, with single blanks."""
        return " ".join(" ".join(self.texts).split())

    def values(self, name: str) -> list[str]:
        """The values of an attribute, in order."""
        return [value or "" for _, key, value in self.attributes if key == name]
