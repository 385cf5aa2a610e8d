"""A comparison as a table with sentences, in Markdown, HTML, CSV and plain text."""

from __future__ import annotations

import html as markup
from collections.abc import Sequence
from typing import Any

from longtail.facts.messages import visible
from longtail.report import metric_words, small_classes
from longtail.report.further_tables import about_further_tables, further_tables
from longtail.report.no_verdict import no_verdict
from longtail.report.printable import shown
from longtail.report.rows import CONTEXT_MARK, changed, context, difference, percent, shares, twin
from longtail.report.searches import about_searches
from longtail.report.small_network import small_network
from longtail.report.text_table import aligned, markdown_table
from longtail.report.training_examples import counts_known, stages, training_examples

Summary = dict[str, Any]

GROUPS = ("many", "medium", "few")
VERSUS_TWIN = "vs twin"


def shot_groups(summary: Summary) -> tuple[str, ...]:
    """The groups of classes that have a column; none below three classes, which have no groups."""
    return GROUPS if any(summary["data"]["groups"][group] for group in GROUPS) else ()


def has_twins(summary: Summary) -> bool:
    """Whether some row has a twin other than the reference, so that twins have a column."""
    return any(twin(row, summary["reference"]) for row in summary["rows"])


def header(summary: Summary) -> list[str]:
    """The columns of the table."""
    other = _other(summary)
    groups, shots = summary["data"]["groups"], shot_groups(summary)
    # without groups, a class with few test examples moves the means over classes
    every = [] if shots else range(len(summary["data"]["classes"]))
    of_metric = every if len(metric_words.classes(summary)) > 1 else metric_words.classes(summary)
    metric = small_classes.marked(metric_words.head(summary), of_metric, summary)
    beside = small_classes.marked(metric_words.SHORT[other], every if other != "accuracy" else [], summary)
    marked = (small_classes.marked(group, groups[group], summary) for group in shots)
    versus = [f"vs {summary['reference']}", *([VERSUS_TWIN] if has_twins(summary) else [])]
    return ["method", metric, *versus, *marked, beside, *_ece(summary), "seconds"]


def _other(summary: Summary) -> str:
    """The metric that is shown beside the chosen one."""
    return next(name for name in metric_words.NAMES if name != summary["metric"])


def _ece(summary: Summary) -> list[str]:
    return [] if summary["metric"] == "ece" else ["ECE"]


def cells(summary: Summary) -> list[list[str]]:
    """One line per method, best first; percent, mean ± standard deviation over seeds."""
    other, points, lines = _other(summary), metric_words.is_fraction(summary), []
    for row in summary["rows"]:
        mean = row["mean"]
        name = visible(row["method"]) + (" *" if shares(row) else "")
        name += "" if row.get("comparable", True) else " †"
        name += f" {CONTEXT_MARK}" if context(row) else ""
        line = [name, metric_words.cell(summary, row), difference(row, points)]
        line += [visible(twin(row, summary["reference"], points))] if has_twins(summary) else []
        line += [percent(mean[group]) for group in shot_groups(summary)]
        line += [percent(mean[other]), *(percent(mean["ece"]) for _ in _ece(summary)), f"{row['seconds']:.1f}"]
        lines.append(line)
    return lines


def about(summary: Summary) -> list[str]:
    """What was measured, in lines: data, groups, seeds, selection, reuse, what is missing."""
    data, seeds = summary["data"], summary["seeds"]
    counts = sorted(data["class_counts"], reverse=True)
    steps = summary["recipe"].get("steps")
    count = summary["recipe"]["epochs"]
    epochs = f"{count} epoch{'s' * (count != 1)}" + (f" of {steps} steps" if steps else "")
    rule = group_rule(data["groups"]["rule"], counts) + ("" if counts_known(summary) else ", expected")
    lines = [
        f"{data['name']}: {training_examples(summary)}, {sum(data['test_counts']):.9g} test examples; {len(seeds)} "
        f"seed{'s' * (len(seeds) > 1)}, {epochs}, {summary['select']}.",
        f"Groups: {rule}. vs {summary['reference']}: paired difference"
        f"{' in points' if metric_words.is_fraction(summary) else ''} with its simultaneous 95 % interval"
        + (" (one seed: test examples only)." if len(seeds) == 1 else "."),
    ]
    lines += metric_words.about(summary)
    if has_twins(summary):
        lines.append(
            f"{VERSUS_TWIN}: the same difference to the plain method of the same model, which is named; empty where it "
            f"is {summary['reference']}. The intervals of both columns hold at once."
        )
    if several := [row for row in summary["rows"] if len(row.get("epochs", {})) > 1]:
        lines.append(f"Epochs of methods with several stages: {'; '.join(map(stages, several))}.")
    shared = [row["method"] for row in summary["rows"] if shares(row)]
    if shared:
        lines.append(f"* shares the training of another row ({', '.join(shared)}); its seconds include that training.")
    apart = [f"{row['method']}: {changed(row)}" for row in summary["rows"] if not row.get("comparable", True)]
    if apart:
        lines.append(
            f"† trained under its own paper's recipe, not comparable with the other rows ({'; '.join(apart)})."
        )
    if beside := [row["method"] for row in summary["rows"] if context(row)]:
        lines.append(
            f"{CONTEXT_MARK} context: shown beside {summary['task']} methods, outside the ranking and the verdict "
            f"({', '.join(beside)})."
        )
    if "oracle" in beside:
        lines.append("oracle: ce on the true labels of all training examples, which no other row sees.")
    if "oracle-la" in beside:
        lines.append("oracle-la: proden with the true class shares taken off throughout, which no method is given.")
    constant = [row["method"] for row in summary["rows"] if not row.get("varies", True) and len(row["runs"]) > 1]
    if constant:
        lines.append(f"No ±: every seed gives the same ({', '.join(constant)}).")
    lines += about_searches(summary)
    lines += about_further_tables(summary)
    lines += small_classes.explained(summary)
    lines += [f"Note: {note}." for note in [*data["notes"], *_seed_notes(summary)]]
    return list(map(visible, [*lines, *unfinished(summary)]))


def unfinished(summary: Summary) -> list[str]:
    """The runs that failed, and how many were not begun."""
    lines = [f"FAILED: {f['method']}, seed {f['seed']}: {f['error']}" for f in summary["failed"]]
    failed = {(f["method"], f["seed"]) for f in summary["failed"]}
    waiting = [m for m in summary["missing"] if (m["method"], m["seed"]) not in failed]
    if waiting:
        runs = "1 run was" if len(waiting) == 1 else f"{len(waiting)} runs were"
        lines.append(f"{runs} not begun; give the same command again to run what is missing.")
    return lines


def _seed_notes(summary: Summary) -> list[str]:
    """Notes on the intervals; with one seed without the first, with which the verdict's sentence ends."""
    if summary["verdict"] is None:
        return []
    statistics = summary["verdict"]["statistics"]
    return list(statistics["notes"] if statistics["df"] else statistics["notes"][1:])


def group_rule(rule: str, counts: Sequence[float]) -> str:
    """The rule of the groups, with a warning where all classes have one size, so that only their order decides."""
    if len(counts) < 3 or min(counts) < max(counts):
        return rule
    return f"{rule}, but every class has {counts[0]:.6g}: which group it is in says nothing"


def verdict_lines(summary: Summary) -> list[str]:
    """The verdict, what beats its twin, whether retraining was needed, and what the leader gains and costs."""
    small = small_network(summary["data"].get("facts", {}), summary["recipe"])
    sized = [] if small is None else [small]
    if summary["verdict"] is None:
        return [no_verdict(summary), *sized]
    said = [summary[name] for name in ("verdict", "twins", "retraining", "tuned") if summary.get(name) is not None]
    lines = [visible(one["sentence"]) for one in said]
    gain = gain_line(summary)
    return [lines[0], *sized, *lines[1:], *([gain] if gain else [])]


def gain_line(summary: Summary) -> str | None:
    """One line: recall of the rarest classes from what to what, the cost for the largest, the extra time.

    None where no class is rarer than another. It is not called a gain where the rarest classes did not gain; then the
    class that gained most is named.
    """
    gain, counts = summary["gain"], summary["data"]["class_counts"]
    if gain is None or gain["few"][0] is None or gain["many"][0] is None or min(counts) == max(counts):
        return None
    seconds, method = gain["seconds"], gain["method"]
    extra = f"{seconds[1] / seconds[0]:.2f}x the time of {summary['reference']}" if seconds[0] > 0 else "no extra time"
    rarest, largest = gain["few_classes"], gain["many_classes"]
    expected = "" if counts_known(summary) else " by expected count"
    changes = [
        f"of the {f'{rarest} rarest classes' if rarest > 1 else 'rarest class'}{expected} {_moved(gain['few'])}",
        f"of the {f'{largest} largest' if largest > 1 else 'largest'} {_moved(gain['many'])}",
    ]
    opening = "What you gain" if gain["shown"] else "Not shown to be a gain"
    if gain["shown"] and not _rose(gain["few"]):
        opening, most = "What changes", _most_risen(summary)
        changes = [f"of '{shown(most[0])}' {_moved(most[1])}", *changes] if most else changes
    return f"{opening} with {method}: recall {', '.join(changes)}, {extra}."


Ends = Sequence[float]
"""A recall of the reference, and of the method that is compared with it."""


def _moved(ends: Ends) -> str:
    return f"{percent(ends[0])} -> {percent(ends[1])} %"


def _rose(ends: Ends) -> bool:
    """In the digits that are shown."""
    return round(1000 * ends[1]) > round(1000 * ends[0])


def _most_risen(summary: Summary) -> tuple[str, Ends] | None:
    rows = {row["method"]: row["recall"] for row in summary["rows"]}
    both = zip(summary["data"]["classes"], rows[summary["reference"]], rows[summary["gain"]["method"]], strict=True)
    known = [(name, (a, b)) for name, a, b in both if a is not None and b is not None and _rose((a, b))]
    return max(known, key=lambda one: one[1][1] - one[1][0], default=None)


def _table(summary: Summary) -> tuple[list[list[str]], str]:
    """The lines of the table, header first, and the sides of its columns."""
    lines = [header(summary), *cells(summary)]
    return lines, "<" + ">" * (len(lines[0]) - 1)


def markdown(summary: Summary) -> str:
    """The table and its sentences as Markdown."""
    further = [markdown_table(lines, sides) for lines, sides in further_tables(summary)]
    paragraphs = [markdown_table(*_table(summary)), *further, *verdict_lines(summary), *about(summary)]
    text = "\n\n".join(paragraphs).replace("*", "\\*")
    return text.replace("\n\n- ", "\n- ") + "\n"  # the items of a list stand below the line that they belong to


def html(summary: Summary) -> str:
    """The table and its sentences for a notebook."""

    def row(tag: str, line: list[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{markup.escape(cell)}</{tag}>" for cell in line) + "</tr>"

    def table(head: list[str], lines: list[list[str]]) -> str:
        body = "".join(row("td", line) for line in lines)
        return f"<table><thead>{row('th', head)}</thead><tbody>{body}</tbody></table>"

    further = "".join(table(head, lines) for (head, *lines), _ in further_tables(summary))
    notes = "".join(f"<p>{markup.escape(line)}</p>" for line in [*verdict_lines(summary), *about(summary)])
    return table(header(summary), cells(summary)) + further + notes


def plain(summary: Summary) -> str:
    """The table in aligned columns, for print."""
    further = [line for lines, sides in further_tables(summary) for line in ("", *aligned(lines, sides))]
    return "\n".join([*aligned(*_table(summary)), *further, "", *verdict_lines(summary), *about(summary)])
