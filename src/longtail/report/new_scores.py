"""Scores of a saved model on new data as text: the sentence, metrics and classes beside the estimate, class shares."""

from __future__ import annotations

from typing import Any

from longtail.facts.messages import visible
from longtail.metrics import metric as metric_of
from longtail.report.printable import shown
from longtail.report.rows import UNKNOWN, percent
from longtail.report.text_table import aligned

SHOWN = 30
"""Classes that are listed: the ones that differ and the rarest first."""
GROUPS = {"many": "many-shot classes", "medium": "medium-shot classes", "few": "few-shot classes"}
WORDS = {"lower": "lower than expected", "higher": "higher than expected", "not shown": "no difference shown"}


def text(result: dict[str, Any]) -> str:
    """Return everything that `longtail evaluate` prints of a result of `Predictor.evaluate`."""
    parts = [sentence(result), _metrics(result), _classes(result), _shares(result), _about(result)]
    return "\n".join(part for part in parts if part)


def sentence(result: dict[str, Any]) -> str:
    """Return what is said of the metric that was asked for."""
    name = result["metric"]
    value = result["values"].get(name)
    label = _label(name)
    of = f" of class {shown(result['positive'])}" if result["positive"] is not None and _needs_positive(name) else ""
    if value is None:
        return f"{label}{of} is not defined on these {result['rows']} rows."
    head = f"{label}{of} on {result['rows']} new rows: {interval(name, value)}"
    found = result["differences"].get(name)
    if found is None:
        return f"{head}; nothing to compare it with."
    gap, expected = found["difference"], found["expected"]
    return (
        f"{head}. Expected {interval(name, expected)}, from {_source(result['estimate'])}: "
        f"{WORDS[found['said']]}, {_signed(name, gap)}."
    )


def _source(estimate: dict[str, Any]) -> str:
    if estimate["kind"] != "a comparison":
        return f"{estimate['kind']} ({estimate['rows']})"
    return (
        f"the comparison in {visible(str(estimate['comparison']))} ({estimate['rows']} rows, {estimate['seeds']} seeds)"
    )


def _metrics(result: dict[str, Any]) -> str:
    against = bool(result["differences"])
    lines = [["metric", "new data"] + (["expected", "difference", ""] if against else [])]
    for name, value in result["values"].items():
        cells = [_label(name), interval(name, value)]
        if against:
            found = result["differences"].get(name)
            rest = ["", "", ""]
            if found is not None:
                said = _words(name, found["said"])
                rest = [interval(name, found["expected"]), _signed(name, found["difference"]), said]
            cells += rest
        lines.append(cells)
    return "\n" + "\n".join(aligned(lines, "<<" + "<<<" * against)) + "\n"


def _classes(result: dict[str, Any]) -> str:
    rows = sorted(result["classes"], key=lambda row: (row["said"] in (None, "not shown"), row["n"]))
    against = any(row["expected"] is not None for row in rows)
    lines = [["class", "rows", "recall", *(["expected", "difference", ""] if against else [])]]
    for row in rows[:SHOWN]:
        cells = [shown(row["class"]), f"{row['n']:g}", _recall(row["new"])]
        if against:
            gap = row["difference"]
            said = _words("accuracy", row["said"] or "not shown")
            cells += [_recall(row["expected"]), "" if gap is None else _signed("accuracy", gap), said]
        lines.append(cells)
    more = f"\n... and {len(rows) - SHOWN} more classes (--json has all)" if len(rows) > SHOWN else ""
    return "\n".join(aligned(lines, "<><" + "<<<" * against)) + more + "\n"


def _shares(result: dict[str, Any]) -> str:
    named = [(one["class"], share) for one, share in zip(result["classes"], result["shares"]["classes"], strict=True)]
    moved = [(name, share) for name, share in named if share["said"] != "not shown"]
    if not moved:
        return "Class shares: no difference from training shown."
    moved.sort(key=lambda pair: -abs(pair[1]["new"] - pair[1]["training"]))
    listed = ", ".join(f"{shown(n)} {percent(s['training'])} % -> {percent(s['new'])} %" for n, s in moved[:5])
    more = f" and {len(moved) - 5} more" if len(moved) > 5 else ""
    return (
        f"Class shares differ from training by {percent(result['shares']['distance'])} points in all: {listed}{more}. "
        "Probabilities refer to the shares in training; longtail predict --target-prior takes those of now."
    )


def _about(result: dict[str, Any]) -> str:
    lines = [f"Rule: {result['rule']}. Intervals: 95 %; recalls of classes hold together."]
    if result["differences"]:
        lines.append("Of metrics that did not change, one in twenty is called different on average.")
    if result["estimate"] is None:
        lines.append(
            "There is nothing to compare with: no test scores, no estimate of a comparison (train --all --comparison)."
        )
    return "\n".join([*lines, *(f"Note: {note}." for note in result["notes"])])


def _words(name: str, said: str) -> str:
    """What a table says of a difference: nothing where none is shown; of losses also which way is better."""
    if said == "not shown":
        return ""
    if name in GROUPS or metric_of(name).higher_is_better:
        return WORDS[said]
    return f"{WORDS[said]} ({'better' if said == 'lower' else 'worse'})"


def _needs_positive(name: str) -> bool:
    return name not in GROUPS and metric_of(name).needs == "positive"


def _label(name: str) -> str:
    return GROUPS[name] if name in GROUPS else metric_of(name).label


def _is_fraction(name: str) -> bool:
    return name in GROUPS or (metric_of(name).fraction and name != "mcc")


def interval(name: str, value: dict[str, float], what: str = "") -> str:
    """Return a metric with the ends of its interval, of which `what` says what it is."""
    mean, low, high = (_number(name, value[end]) for end in ("mean", "low", "high"))
    return f"{mean}{' %' * _is_fraction(name)} ({what}{low} to {high})"


def _number(name: str, value: float) -> str:
    return percent(value) if _is_fraction(name) else f"{value:.3f}"


def _signed(name: str, gap: dict[str, float]) -> str:
    scale, form = (100, "+.1f") if _is_fraction(name) else (1, "+.3f")
    mean, low, high = (f"{scale * gap[end]:{form}}" for end in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def _recall(value: dict[str, float] | None) -> str:
    return UNKNOWN if value is None else interval("accuracy", value)
