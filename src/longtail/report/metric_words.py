"""The metric of a table in words and digits: percent of fractions, other numbers as they are, which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from longtail.facts.digits import alike
from longtail.facts.messages import visible
from longtail.metrics.registry import metric
from longtail.report.printable import shown
from longtail.report.rows import UNKNOWN, spread

Summary = dict[str, Any]

NAMES = {"balanced_accuracy": "balanced accuracy", "accuracy": "accuracy", "macro_f1": "macro F1"}
SHORT = {"balanced_accuracy": "bal. acc.", "accuracy": "accuracy", "macro_f1": "macro F1"}


def label(summary: Mapping[str, Any]) -> str:
    """What the metric is called, as in "balanced accuracy" or "recall of 'fraud'"."""
    return str(summary.get("question", {}).get("label") or metric(summary["metric"]).label)


def head(summary: Summary) -> str:
    """The head of its column."""
    return SHORT.get(summary["metric"]) or visible(label(summary))


def classes(summary: Summary) -> list[int]:
    """The classes whose few rows make the metric uncertain: all of a mean over them, the one that is meant, or none."""
    one, names = metric(summary["metric"]), summary["data"]["classes"]
    if one.needs == "positive":
        return [names.index(summary["question"]["positive"])]
    return list(range(len(names))) if one.by_class else []


def is_fraction(summary: Mapping[str, Any]) -> bool:
    """Whether it is shown in percent, and its differences in points."""
    return metric(summary["metric"]).fraction


def statistics(summary: Summary, row: dict[str, Any]) -> tuple[float | None, float | None]:
    """Mean and standard deviation of the metric over a row's seeds."""
    name = summary["metric"]
    if name in row["mean"]:
        return row["mean"][name], row["std"][name]
    found = row.get("metrics", {}).get(name, {})
    return found.get("mean"), found.get("std")


def cell(summary: Summary, row: dict[str, Any]) -> str:
    """The metric of a row, mean ± standard deviation."""
    mean, std = statistics(summary, row)
    std = std if row.get("varies", True) else None
    if is_fraction(summary):
        return spread(mean, std)
    if mean is None:
        return UNKNOWN
    return " ± ".join(alike([mean] if std is None else [mean, std]))


def about(summary: Mapping[str, Any]) -> list[str]:
    """What was asked beside the trainings, in lines: direction, the class that is meant, how rows decide, the prior."""
    asked = summary.get("question")
    if asked is None:
        return []
    lines, name = [], label(summary)[0].upper() + label(summary)[1:]
    if not asked["higher_is_better"]:
        lines.append(f"{name}: lower is better; a difference below 0 is a gain.")
    if asked["of_one_class"]:
        why = ", the rarest in training (--positive names another)" if asked["positive_by_rarity"] else ""
        lines.append(f"The class that is meant: '{shown(asked['positive'])}'{why}.")
    if asked["decided_for"] is not None:
        own = ", ".join(map(visible, asked.get("own_rule", ())))
        but = f", but for those that decide by costs themselves: {own}" if own else ""
        lines.append(f"Decided for: {asked['decided_for']}; by this rule in every row, not the method's own{but}.")
    if asked["target_prior"] is not None:
        lines.append(
            f"Probabilities are under the prior {asked['target_prior']}"
            + ("." if asked["decided_for"] else ", and the most probable class is decided for in every row.")
        )
    elif asked["reads"] == "probabilities":
        lines.append(f"{name} is of probabilities under the training prior.")
    return lines
