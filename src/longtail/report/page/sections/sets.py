"""Sets of classes: how often they hold the true class, by class, beside what is promised, and how large they are."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from markupsafe import Markup

from longtail.facts.set_promises import Promise, promise_notes
from longtail.facts.set_ranks import as_percent, exact_level
from longtail.report.class_runs import runs
from longtail.report.page.axes import Scale, draw_axes, draw_legend, logarithmic
from longtail.report.page.elements import figure, joined, paragraphs, table
from longtail.report.page.page import Page, Row, Section
from longtail.report.page.picture import SHAPES, Picture, series
from longtail.report.printable import shown
from longtail.report.recall_plot import recalls
from longtail.report.rows import UNKNOWN, percent

WIDTH, HEIGHT, LEFT = 760.0, 340.0, 44.0
MOST = 60
"""Classes that have a line of the table: those with the fewest calibration rows."""
MOST_DRAWN, PIECES = 150, 75
"""Promised classes that each have a mark; of more, runs of neighbours have one."""
APART = 6.0
"""Between the marks of one class."""

Entry = dict[str, Any]
Entries = dict[str, Entry]


def section(page: Page) -> Section | None:
    """None where no row has sets: neither validation rows nor folds."""
    entries: Entries = {row["method"]: row["sets"] for row in page.rows if row.get("sets")}
    if not entries:
        return None
    chosen = {name: entries[name] for name in recalls(page.summary) if name in entries} or dict([*entries.items()][:1])
    first = next(iter(chosen.values()))
    level = exact_level(first["level"])
    parts = [
        paragraphs(sentences(page, first, level)),
        table(
            by_method(page.rows, level),
            "<>>>>>",
            f"Sets at {as_percent(level)} by method: coverage of the promised classes, and classes in a set",
        ),
    ]
    if any(one["promised"] for one in first["classes"]):
        parts.append(_figure(page, chosen, level))
    else:
        parts.append(table(*_by_class(page, chosen, level)))
    return Section("sets", "Sets that cover every class", joined(parts))


def sentences(page: Page, entry: Entry, level: Fraction) -> list[str]:
    """What a set is, what is promised to which class, and what is not."""
    percentage = as_percent(level)
    promises = [Promise(one["n"], entry["needs"]) for one in entry["classes"]]
    short = [note for note in promise_notes(promises, page.classes, level) if note.startswith("too few")]
    lines = [
        f"A set of classes for each row, in place of one class. Of each class with at least {entry['needs']} "
        f"calibration rows, {percentage} of the rows are to have it in their set, whatever the method."
    ]
    if entry["kind"] == "cross":
        lines.append(
            "Calibrated on the out-of-fold scores of the other folds, which are of other models: nothing is proven for "
            "finite samples, and since tested rows also calibrate, coverage stays near the level by itself. New rows "
            "may be covered less, by as much as the intervals say."
        )
    else:
        lines.append(
            "Calibrated on the validation rows. The promise is on average over draws of such rows: over them and "
            "draws of test rows, coverage lies in the interval of a class in 95 of 100 cases where it holds."
        )
    searched = [shown(row["method"]) for row in page.rows if row.get("search") and not row.get("sets")]
    if searched:
        lines.append(f"Not of {', '.join(searched)}: validation rows that chose a training can promise nothing of it.")
    return [*lines, *(f"{note[0].upper()}{note[1:]}." for note in short)]


def by_method(rows: Sequence[Row], level: Fraction) -> list[list[str]]:
    """A line for each method with sets, in the order of the rows."""
    lines = [["method", "mean coverage, %", "lowest coverage, %", "below its interval", "classes in a set", "empty, %"]]
    for row in rows:
        if not (entry := row.get("sets")):
            continue
        kept = [one for one in entry["classes"] if one["promised"] and one["coverage"] is not None]
        covered = [one["coverage"] for one in kept]
        below = sum(one["coverage"] < one["low"] for one in kept)
        lines.append([
            shown(row["method"]),
            percent(sum(covered) / len(covered) if covered else None),
            percent(min(covered, default=None)),
            f"{below} of {len(kept)}" if kept else UNKNOWN,
            f"{entry['mean_size']:.2f}",
            percent(entry["empty"]),
        ])  # fmt: skip
    return lines


def _by_class(page: Page, entries: Entries, level: Fraction) -> tuple[list[list[str]], str, str]:
    """Lines, sides and caption of the table by class, those with the fewest calibration rows first."""
    first = next(iter(entries.values()))["classes"]
    order = sorted(range(len(first)), key=lambda j: (first[j]["n"], j))[:MOST]
    heads = [f"{shown(name)}: {what}" for name in entries for what in ("coverage, %", "classes in a set")]
    lines = [["class", "calibration rows", "test rows", "if the promise holds, %", *heads]]
    for j in order:
        one = first[j]
        ends = UNKNOWN if one["low"] is None else f"{100 * one['low']:.0f} to {100 * one['high']:.0f}"
        promise = ends if one["promised"] else "no promise, in every set"
        cells = [cell for entry in entries.values() for cell in _cells(entry["classes"][j])]
        lines.append([page.classes[j], f"{one['n']:.9g}", f"{one['tested']:.9g}", promise, *cells])
    rest = f", the {MOST} classes with the fewest calibration rows" if len(first) > MOST else ""
    return lines, "<>>>" + ">" * len(heads), f"Sets at {as_percent(level)} by class{rest}"


def _cells(one: Entry) -> tuple[str, str]:
    below = one["low"] is not None and one["coverage"] < one["low"]
    size = UNKNOWN if one["size"] is None else f"{one['size']:.2f}"
    return percent(one["coverage"]) + (" (below)" if below else ""), size


def _figure(page: Page, entries: Entries, level: Fraction) -> Markup:
    most = max(len(_kept(entry)) for entry in entries.values())
    how = "lines: where coverage lies in 95 of 100 cases if the promise holds"
    if most > MOST_DRAWN:
        how = f"a mark is the mean of about {most / PIECES:.3g} classes with as many rows"
    drawn = f"Coverage of each promised class against its calibration rows (logarithmic); dashed: {as_percent(level)}"
    caption = f"{drawn}; {how}"
    listed = table(*_by_class(page, entries, level))
    title = "Every class as a table" if most <= MOST else f"{MOST} classes as a table"
    return figure(draw(entries, level, caption), f"{caption}.", alternative=listed, title=title)


def _kept(entry: Entry) -> list[Entry]:
    """The promised classes with test rows, those with the fewest calibration rows first."""
    found = [one for one in entry["classes"] if one["promised"] and one["coverage"] is not None]
    return sorted(found, key=lambda one: float(one["n"]))


def draw(entries: Entries, level: Fraction, caption: str) -> Markup:
    """A mark for each promised class and method, and behind it the interval of a kept promise."""
    kept = {name: _kept(entry) for name, entry in entries.items()}
    words = "; ".join(
        f"{name}: {sum(one['coverage'] >= one['low'] for one in every)} of {len(every)} promised classes are not below "
        "their interval"
        for name, every in kept.items()
    )
    picture = Picture("picture-sets", caption, f"{words}.", WIDTH, HEIGHT)
    top = draw_legend(picture, list(map(shown, entries)), 12) + 26
    all_kept = [one for every in kept.values() for one in every]
    lowest = min([float(level), *(min(one["coverage"], one["low"]) for one in all_kept)])
    x = logarithmic([one["n"] for one in all_kept], LEFT, WIDTH - 10)
    y = Scale(100 * lowest - 3, 101, HEIGHT - 50, top)
    draw_axes(picture, x, y, "calibration rows of the class", "coverage, %")
    picture.line((LEFT, y.at(100 * float(level))), (WIDTH - 10, y.at(100 * float(level))), "zero")
    for i, every in enumerate(kept.values()):
        aside = APART * (i - (len(kept) - 1) / 2)
        for group in runs(range(len(every)), most=MOST_DRAWN, pieces=PIECES):
            many = [every[j] for j in group]
            place = x.at(sum(one["n"] for one in many) / len(many)) + aside
            if len(many) == 1:
                ends = (y.at(100 * many[0]["low"]), y.at(100 * many[0]["high"]))
                picture.line((place, ends[0]), (place, ends[1]), f"thin {series(i)}")
            coverage = sum(one["coverage"] for one in many) / len(many)
            picture.mark((place, y.at(100 * coverage)), f"mark {series(i)}", SHAPES[i % len(SHAPES)], 4.0)
    return picture.markup()
