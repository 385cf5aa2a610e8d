"""`--fail-on`: rules that a data set must not break, for a check in CI."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from longtail.inspection.sentences import Document, plural

COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}

COUNTED: dict[str, tuple[Callable[[Document], int], str, str]] = {
    "duplicates": (lambda f: f["duplicates"]["rows"], "row is a copy of another", "rows are copies of another row"),
    "conflicts": (
        lambda f: f["conflicts"]["rows"], "row has an equal row under another label",
        "rows have an equal row under another label",
    ),
    "leaks": (
        lambda f: f["leaks"]["rows"], "validation or test row is in the training part too",
        "validation or test rows are in the training part too",
    ),
    "group-leaks": (lambda f: f["group_leaks"]["groups"], "group is in two parts", "groups are in two parts"),
    "unreadable": (lambda f: f["unreadable"]["files"], "file cannot be read", "files cannot be read"),
    "twins": (
        lambda f: len(f["labels"]["twins"]), "set of class names differs by a typing error only",
        "sets of class names differ by a typing error only",
    ),
    "constant": (
        lambda f: len((f["columns"] or {}).get("constant", [])), "column holds one value", "columns hold one value",
    ),
    "leaking-columns": (
        lambda f: len((f["columns"] or {}).get("leaking", [])), "column alone predicts the class",
        "columns alone predict the class",
    ),
    "identifiers": (
        lambda f: len((f["columns"] or {}).get("identifying", [])), "column numbers, identifies or follows the rows",
        "columns number, identify or follow the rows",
    ),
    "singletons": (lambda f: len(f["singletons"]), "class has a single example", "classes have a single example"),
}  # fmt: skip
"""Rules without a bound (the count must be 0) or with one (`duplicates>10`): the count, and singular and plural."""

MEASURED: dict[str, tuple[Callable[[Document], float], str]] = {
    "ratio": (lambda f: float("inf") if f["imbalance_ratio"] is None else f["imbalance_ratio"], "the imbalance ratio"),
    "gini": (lambda f: f["gini"], "the Gini coefficient of the class sizes"),
    "min-count": (lambda f: min(f["all_counts"]), "the smallest class, all parts together,"),
}
"""Rules that need a bound (`ratio>100`): the measure, and its name."""


@dataclass(frozen=True)
class Rule:
    """One rule: broken where `measure compare bound` holds."""

    text: str
    name: str
    compare: str
    bound: float

    def broken(self, document: Document) -> str | None:
        """Return one line on how an inspection breaks the rule; None where it does not."""
        value = (COUNTED | MEASURED)[self.name][0](document)
        if not COMPARE[self.compare](value, self.bound):
            return None
        if self.name in MEASURED:
            return f"{self.text}: {MEASURED[self.name][1]} is {value:.6g}"
        _, one, many = COUNTED[self.name]
        return f"{self.text}: {plural(int(value), one, many)}"


def parse_rules(text: str | None) -> list[Rule]:
    """Parse a comma list of rules such as "duplicates,leaks,ratio>100".

    Raises:
        ValueError: an unknown rule, a missing bound or one that is no number; the message names the rules.
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


def broken_rules(rules: list[Rule], document: Document) -> list[str]:
    """Return a line per rule that the inspection breaks, in the order of the rules.

    Raises:
        ValueError: a rule of class sizes, where candidate sets hide these.
    """
    for rule in rules:
        if rule.name in (*MEASURED, "singletons") and not document["counts_known"]:
            raise ValueError(
                f"--fail-on {rule.name} needs class sizes, which candidate sets hide; leave out {rule.text!r}"
            )
    return [line for rule in rules if (line := rule.broken(document)) is not None]
