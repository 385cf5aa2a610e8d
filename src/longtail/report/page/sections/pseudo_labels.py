"""What methods did with rows whose label is not known: pseudo-labels, candidates, class shares that they estimated."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from longtail.report.page.axes import draw_legend
from longtail.report.page.elements import figure, joined, paragraphs, table
from longtail.report.page.page import LONGEST, Page, Section
from longtail.report.page.panels import WIDTH, draw_curve, draw_frame, panel, room
from longtail.report.page.picture import Picture, series
from longtail.report.page.run_records import Record, named_trainings, number, thinned, which_run
from longtail.report.printable import shown
from longtail.report.rows import UNKNOWN, percent
from longtail.report.training_examples import training_examples

COLUMNS, HEIGHT = 3, 110.0
SHARES = {"confident": "confident", "changed": "changed"}
"""Names of shares in records -> in a word."""
DISTANCE = "prior_distance"
WORDS = {
    "confident": "Confident: the share of rows whose guessed label was sure enough to be learned from.",
    "changed": "Changed: the share of pseudo-labels that a correction changed.",
    DISTANCE: "Distance: of the class shares that the method estimates to the true ones (L2).",
}


def section(page: Page) -> Section | None:
    """None where every row has its label and no method guessed any."""
    data = page.summary["data"]
    hidden = data.get("unlabeled") is not None or data.get("labels") == "candidates"
    named = named_trainings(page)
    keys = [key for key in WORDS if any(_values(records, key) for _, records in named)]
    if not (hidden or keys):
        return None
    parts = [paragraphs([*_about(page), *(WORDS[key] for key in keys)])]
    if keys:
        head = ["method", *("distance" if key == DISTANCE else f"{SHARES[key]}, %" for key in keys)]
        lines = _lines(named, keys)
        parts.append(table([head, *lines], "<" + ">" * len(keys), "Guessed labels of each method, in the last epoch"))
    if drawn := [one for one in named if any(_values(one[1], key) for key in SHARES)]:
        parts.append(_picture(page, drawn))
    title = "Candidate labels" if data.get("labels") == "candidates" else "Rows without labels"
    return Section("guessed", title if hidden else "Guessed labels", joined(parts))


def _values(records: Sequence[Record], key: str) -> list[tuple[float, float]]:
    """Epoch and value, where there is one."""
    found = [(float(i), number(record, key)) for i, record in enumerate(records, 1)]
    return [(epoch, value) for epoch, value in found if value is not None]


def _lines(named: Sequence[tuple[str, list[Record]]], keys: Sequence[str]) -> list[list[str]]:
    """A line for each training that has one of these values."""
    lines = []
    for name, records in named:
        last = {key: values[-1][1] for key in keys if (values := _values(records, key))}
        cells = [UNKNOWN if key not in last else f"{last[key]:.3f}" if key == DISTANCE else percent(last[key])
                 for key in keys]  # fmt: skip
        if last:
            lines.append([name, *cells])
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
            points = [(x, 100 * y) for x, y in _values(records, key)]
            draw_curve(picture, made, thinned(points), f"curve {series(k)}")
    return figure(picture.markup(), f"Shares in every epoch, of {which_run(page)}; the table above has the last.")
