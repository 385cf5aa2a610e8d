"""Whether probabilities are right: calibration errors of every method, and reliability diagrams before and after."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from longtail.report.page.axes import Scale, draw_axes, draw_legend
from longtail.report.page.elements import figure, joined, paragraphs, table
from longtail.report.page.page import LONGEST, Page, Row, Section
from longtail.report.page.picture import SHAPES, Picture, series
from longtail.report.printable import shown
from longtail.report.rows import context, percent

WIDTH, HEIGHT, LEFT, GAP = 760.0, 360.0, 44.0, 70.0
STATES = {"before": "as the scores say", "corrected": "for the training prior", "after": "calibrated"}
"""In the order of their series."""
ENOUGH = 30
"""Test rows of the rarest class from which the curve of its probability is worth a look."""
JOINED = 10
"""Rows of a bin from which its mark is joined to the others."""
Entry = Mapping[str, Any]


def section(page: Page) -> Section | None:
    """None where no row knows its probabilities."""
    known = [row for row in page.rows if row.get("calibration")]
    if not known:
        return None
    rows = float(sum(page.summary["data"]["test_counts"]))
    parts = [paragraphs(_words(page, known, rows)), _table(known)]
    parts += [_figure(row, rows, f"calibration-{i}") for i, row in enumerate(_drawn(page, known))]
    return Section("calibration", "Whether the probabilities are right", joined(parts))


def _drawn(page: Page, known: list[Row]) -> list[Row]:
    """The best method and the reference."""
    ranked = [row for row in known if not context(row)]
    others = [row for row in known if row["method"] == page.reference]
    return [*ranked[:1], *(row for row in others if row not in ranked[:1])]


def _words(page: Page, known: list[Row], rows: float) -> list[str]:
    """What the errors are, in sentences, and what there are too few rows for."""
    lines = [_sentence(row) for row in _drawn(page, known)]
    entry = known[0]["calibration"]
    best = entry["after"] or entry["corrected"]
    lines.append(
        f"On {rows:g} test rows about {percent(by_chance(best['bins'], rows))} points of ECE arise by chance, even "
        "where probabilities are perfect."
    )
    lines += _apart(page, known)
    if entry["after"] is None:
        lines.append(
            "There are neither validation rows nor folds to calibrate on: run again with --val 0.2, or --folds 5."
        )
    if entry["tested"] < ENOUGH:
        lines.append(
            f"The rarest class, {shown(entry['class'], longest=LONGEST)}, has {entry['tested']:g} test rows, fewer "
            f"than {ENOUGH}: the curve of its probability says little."
        )
    return lines


def _apart(page: Page, known: list[Row]) -> list[str]:
    """That test rows have other class shares than training, and what the error is for these."""
    found = [(row, row["calibration"]["shifted"]) for row in _drawn(page, known) if row["calibration"].get("shifted")]
    if not found:
        return []
    errors = ", ".join(f"{percent(one['ece'])} of {shown(row['method'], longest=LONGEST)}" for row, one in found)
    return [
        "The class shares of the test part are not those of training: "
        f"{percent(found[0][1]['distance'])} % of the rows would have to be of another class. Probabilities for the "
        "training prior are then off on these rows by that alone. For the shares of the test part, ECE is "
        f"{errors}; longtail predict --target-prior gives probabilities for the shares of the rows that it is used on."
    ]


def _sentence(row: Row) -> str:
    entry = row["calibration"]
    name = shown(row["method"], longest=LONGEST)
    first = (
        f"{name}: confidence is off the share of right decisions by {percent(entry['corrected']['ece'])} points (ECE)"
    )
    raw = "" if entry["before"] == entry["corrected"] else f" ({percent(entry['before']['ece'])} as its scores say)"
    if entry["after"] is None:
        return f"{first}{raw}."
    return f"{first}{raw}, and by {percent(entry['after']['ece'])} once calibrated: {_how(entry)}."


def _how(entry: Entry) -> str:
    return _kind(entry) + _fitted(entry)


def _kind(entry: Entry) -> str:
    return "none" if entry["after"] is None else " or ".join(entry["method"])


def _fitted(entry: Entry) -> str:
    """On what calibrations are fitted, which is the same for all rows of a comparison."""
    if entry["after"] is None:
        return ""
    where = "rows of other folds" if entry["fitted_on"] == "folds" else "validation rows"
    return f", fitted on {entry['rows']} {where}"


def by_chance(bins: list[dict[str, float]], rows: float) -> float:
    """The ECE that perfect probabilities have on average: the mean distance of a binomial share from its rate p.

    sum_b share_b sqrt(2 p_b (1 - p_b) / (pi n share_b)), by the normal distribution
    """
    spread = (
        one["share"] * math.sqrt(2 * one["predicted"] * max(1 - one["predicted"], 0) / (math.pi * rows * one["share"]))
        for one in bins
    )
    return sum(spread) if rows > 0 else math.nan


def _table(known: list[Row]) -> Markup:
    lines = [
        ["method", *(f"ECE, {name}" for name in STATES.values()), "class-wise ECE, calibrated", "log loss",
         "log loss, calibrated", "Brier score", "Brier score, calibrated", "calibration"],
    ]  # fmt: skip
    apart = any(row["calibration"].get("shifted") for row in known)
    if apart:
        lines[0].insert(4, "ECE, for the shares of the test part")
    for row in known:
        entry = row["calibration"]
        errors = [percent(_of(entry, state, "ece")) for state in STATES]
        errors += [percent(shifted["ece"] if (shifted := entry.get("shifted")) else None)] if apart else []
        scores = [_three(_of(entry, state, name)) for name in ("log_loss", "brier") for state in ("corrected", "after")]
        name = shown(row["method"], longest=LONGEST)
        lines.append([name, *errors, percent(_of(entry, "after", "classwise_ece")), *scores, _kind(entry)])
    caption = (
        f"Errors of the probabilities on test rows, mean over seeds; ECE in percent{_fitted(known[0]['calibration'])}"
    )
    return table(lines, "<" + ">" * (len(lines[0]) - 2) + "<", caption)


def _of(entry: Entry, state: str, name: str) -> float | None:
    return None if entry[state] is None else float(entry[state][name])


def _three(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _figure(row: Row, rows: float, id: str) -> Markup:
    entry, name = row["calibration"], shown(row["method"], longest=LONGEST)
    rare = shown(entry["class"], longest=LONGEST)
    states = [s for s in STATES if entry[s] is not None and not (s == "before" and entry[s] == entry["corrected"])]
    caption = (
        f"Reliability of {name}: left, confidence against how often it is right; right, the probability of {rare} "
        "against how often it is true, in groups of equally many rows. On the dashed line probabilities are right; "
        f"larger marks have more rows, and those of fewer than {JOINED} are not joined"
    )
    lines = [["probabilities", "of", "predicted, %", "observed, %", "rows, %"]]
    for state in states:
        for kind, of in (("bins", "the decision"), ("rare_bins", rare)):
            lines += [
                [STATES[state], of, percent(b["predicted"]), percent(b["observed"]), percent(b["share"])]
                for b in entry[state][kind]
            ]
    alternative = table(lines, "<<>>>", f"Reliability of {name}, every bin")
    return figure(_draw(entry, states, rows, id, caption), f"{caption}.", alternative=alternative)


def _draw(entry: Entry, states: list[str], rows: float, id: str, caption: str) -> Markup:
    told = "; ".join(f"{STATES[s]}: ECE {percent(entry[s]['ece'])} percent" for s in states)
    picture = Picture(f"picture-{id}", caption, f"{told}. The table below has every bin.", WIDTH, HEIGHT)
    top = draw_legend(picture, [STATES[s] for s in states], 12, first=_first(states)) + 26
    half = (WIDTH - LEFT - GAP) / 2 - 8
    _panel(picture, entry, states, rows, "bins", (LEFT, LEFT + half, top), ("confidence", "right, share"))
    start = LEFT + half + GAP
    _panel(picture, entry, states, rows, "rare_bins", (start, start + half, top), ("its probability", ""))
    picture.text((start - 40, top - 16), "true, share")
    return picture.markup()


def _first(states: list[str]) -> int:
    """The series of the first, so that a kind of probabilities has the same colour in every picture."""
    return 1 + list(STATES).index(states[0])


def _panel(
    picture: Picture, entry: Entry, states: list[str], rows: float, kind: str, place: tuple[float, float, float],
    labels: tuple[str, str],
) -> None:  # fmt: skip
    """One diagram: the diagonal, and a curve with marks for each kind of probabilities."""
    start, end, top = place
    most = max(max(one["predicted"], one["observed"]) for s in states for one in entry[s][kind])
    high = 1.0 if kind == "bins" else max(1.05 * most, 1e-3)
    x, y = Scale(0, high, start, end), Scale(0, high, HEIGHT - 50, top)
    draw_axes(picture, x, y, *labels, most=(4, 5))
    picture.line((x.at(0), y.at(0)), (x.at(high), y.at(high)), "zero")
    for i, state in enumerate(states, _first(states)):
        points = [(x.at(one["predicted"]), y.at(one["observed"])) for one in entry[state][kind]]
        whole = [point for point, one in zip(points, entry[state][kind], strict=True) if one["share"] * rows >= JOINED]
        picture.curve(whole, f"thin {series(i)}")
        for point, one in zip(points, entry[state][kind], strict=True):
            picture.mark(point, f"mark {series(i)}", SHAPES[i % len(SHAPES)], 2.5 + 6 * math.sqrt(one["share"]))
