"""`--fail-on`: rules that a data set must not break, for a check in CI."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from longtail.inspection.findings import plural

COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}

Found = dict[str, Any]

COUNTED: dict[str, tuple[Callable[[Found], int], str, str]] = {
    "duplicates": (lambda f: f["duplicates"]["rows"], "row is a copy of another", "rows are copies of another row"),
    "conflicts": (
        lambda f: f["conflicts"]["rows"], "row has an equal row under another label",
        "rows have an equal row under another label",
    ),
    "leaks": (
        lambda f: f["leaks"]["rows"], "validation or test row also stands in the training part",
        "validation or test rows also stand in the training part",
    ),
    "group-leaks": (lambda f: f["group_leaks"]["groups"], "group stands in two parts", "groups stand in two parts"),
    "unreadable": (lambda f: f["unreadable"]["files"], "file cannot be read", "files cannot be read"),
    "twins": (
        lambda f: len(f["labels"]["twins"]), "set of class names differs in what is hardly seen",
        "sets of class names differ in what is hardly seen",
    ),
    "constant": (
        lambda f: len((f["columns"] or {}).get("constant", [])), "column holds one value", "columns hold one value",
    ),
    "leaking-columns": (
        lambda f: len((f["columns"] or {}).get("leaking", [])), "column alone tells the class",
        "columns alone tell the class",
    ),
    "identifiers": (
        lambda f: len((f["columns"] or {}).get("identifying", [])), "column counts, names or follows the rows",
        "columns count, name or follow the rows",
    ),
    "singletons": (lambda f: len(f["singletons"]), "class has a single example", "classes have a single example"),
}  # fmt: skip
"""Rules that stand alone (none may be found) or with a number (`duplicates>10`), what they count, one and many."""

MEASURED: dict[str, tuple[Callable[[Found], float], str]] = {
    "ratio": (lambda f: float("inf") if f["imbalance_ratio"] is None else f["imbalance_ratio"], "the imbalance ratio"),
    "gini": (lambda f: f["gini"], "the Gini coefficient of the class sizes"),
    "min-count": (lambda f: min(f["all_counts"]), "the smallest class, all parts together,"),
}
"""Rules that need a bound (`ratio>100`), what they measure, and in words."""


@dataclass(frozen=True)
class Rule:
    """One rule: broken where `measure compare bound` holds."""

    text: str
    name: str
    compare: str
    bound: float

    def broken(self, found: Found) -> str | None:
        """One line that says how an inspection breaks the rule; None where it does not."""
        value = (COUNTED | MEASURED)[self.name][0](found)
        if not COMPARE[self.compare](value, self.bound):
            return None
        if self.name in MEASURED:
            return f"{self.text}: {MEASURED[self.name][1]} is {value:.6g}"
        _, one, many = COUNTED[self.name]
        return f"{self.text}: {plural(int(value), one, many)}"


def rules(text: str | None) -> list[Rule]:
    """The rules of a comma list such as "duplicates,leaks,ratio>100".

    Raises:
        ValueError: an unknown rule, a bound that is missing or no number; the line names what is known.
    """
    return [] if text is None else [_rule(part.strip()) for part in text.split(",")]


def _rule(text: str) -> Rule:
    name, compare, bound = (
        re.split(r"\s*(>=|<=|>|<)\s*", text, maxsplit=1) if re.search("[<>]", text) else (text, "", "")
    )
    if name not in COUNTED and name not in MEASURED:
        near = difflib.get_close_matches(name, [*COUNTED, *MEASURED], n=1)
        hint = (
            f"did you mean {near[0]}?" if near else f"rules are {', '.join(COUNTED)}, ratio>100, gini>0.8, min-count<5"
        )
        raise ValueError(f"--fail-on must be a comma list of rules, got {text!r}; {hint}")
    if not compare:
        if name in MEASURED:
            example = {"ratio": "ratio>100", "gini": "gini>0.8", "min-count": "min-count<5"}[name]
            raise ValueError(f"--fail-on {name} needs a bound, got {text!r}; write {example}")
        return Rule(text, name, ">", 0)
    if not re.fullmatch(r"\d+(\.\d*)?|\.\d+", bound):
        raise ValueError(f"--fail-on {name} must be compared with a number >= 0, got {text!r}; write {name}{compare}5")
    return Rule(text, name, compare, float(bound))


def broken(wanted: list[Rule], found: Found) -> list[str]:
    """The lines of all rules that the inspection breaks, in the order in which they were asked."""
    return [line for rule in wanted if (line := rule.broken(found)) is not None]
