"""What methods did with rows whose label is not known: pseudo-labels, candidates, class shares that they estimated."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from longtail.report.page.axes import draw_legend
from longtail.report.page.elements import figure, joined, paragraphs, table
from longtail.report.page.page import LONGEST, Page, Section
from longtail.report.page.panels import WIDTH, draw_curve, draw_frame, panel, room
from longtail.report.page.picture import Picture, series
from longtail.report.page.run_records import Record, named_trainings, number, stages, thinned, which_run
from longtail.report.printable import shown
from longtail.report.rows import UNKNOWN, percent
from longtail.report.training_examples import training_examples

COLUMNS, HEIGHT = 3, 110.0
SHARES = {
    "confident": "rows whose label the method was confident of",
    "changed": "pseudo-labels that a correction changed",
}
"""Names of shares in records -> in words."""
DISTANCE = "prior_distance"


def section(page: Page) -> Section | None:
    """None where every row has its label and no method guessed any."""
    data = page.summary["data"]
    hidden = data.get("unlabeled") is not None or data.get("labels") == "candidates"
    named = named_trainings(page)
    having = {key: [one for one in named if _values(one[1], key)] for key in (*SHARES, DISTANCE)}
    lines = _lines(page, named)
    if not (hidden or lines):
        return None
    parts = [paragraphs(_about(page))]
    if lines:
        head = ["method", *(f"{words}, %" for words in SHARES.values()), "distance to the true class shares"]
        parts.append(table([head, *lines], "<>>>", "Labels that methods guessed, in the last epoch"))
    if having["confident"] or having["changed"]:
        parts.append(_picture(page, [one for one in named if any(_values(one[1], key) for key in SHARES)]))
    title = "Candidate labels" if data.get("labels") == "candidates" else "Rows without labels"
    return Section("guessed", title if hidden else "Guessed labels", joined(parts))


def _values(records: Sequence[Record], key: str) -> list[tuple[float, float | None]]:
    found = [(float(i), number(record, key)) for i, record in enumerate(records, 1)]
    return [one for one in found if one[1] is not None]


def _lines(page: Page, named: Sequence[tuple[str, list[Record]]]) -> list[list[str]]:
    lines = []
    for name, records in named:
        last = [values[-1][1] if (values := _values(records, key)) else None for key in (*SHARES, DISTANCE)]
        if any(value is not None for value in last):
            distance = UNKNOWN if last[-1] is None else f"{last[-1]:.3f}"
            lines.append([name, *(percent(value) for value in last[:-1]), distance])
    return lines


def _about(page: Page) -> list[str]:
    data = page.summary["data"]
    said = [f"Trained on {training_examples(page.summary)}."]
    if data.get("labels") == "candidates":
        said.append("A training row has a set of candidates, its class among them; the test part has its classes.")
    guesses = [
        f"{shown(row['method'], longest=LONGEST)} accepted {of['accepted']} of {of['made']} estimates of class totals."
        for row in page.rows if (of := row.get("estimates")) is not None
    ]  # fmt: skip
    return [" ".join(said), *guesses]


def _picture(page: Page, named: Sequence[tuple[str, list[Record]]]) -> Markup:
    keys = [key for key in SHARES if any(_values(records, key) for _, records in named)]
    told = "; ".join(
        f"{name}: {SHARES[key]} {percent(values[-1][1])} % at the end"
        for name, records in named for key in keys if (values := _values(records, key))
    )  # fmt: skip
    picture = Picture("guessed-picture", "Shares of guessed labels, epoch by epoch", f"{told}.", WIDTH, 0)
    top = draw_legend(picture, [SHARES[key] for key in keys], 12, first=1)
    picture.height = top + room(len(named), COLUMNS, HEIGHT)
    for i, (name, records) in enumerate(named):
        made = panel(i, COLUMNS, HEIGHT, (1, len(records)), (0, 100), top=top - 12)
        draw_frame(picture, made, name, "epoch; upward: %", whole=True)
        for k, key in enumerate(keys, 1):
            points = [(x, None if y is None else 100 * y) for x, y in _values(records, key)]
            draw_curve(picture, made, thinned(points), f"curve {series(k)}")
    several = any(len(stages(records)) > 1 for _, records in named)
    note = " Stages follow each other." if several else ""
    return figure(picture.markup(), f"Of {which_run(page)}; the table above has the last epoch.{note}")
