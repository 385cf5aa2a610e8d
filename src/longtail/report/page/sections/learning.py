"""Learning curves: the loss of every training epoch by epoch, and scores where they were evaluated on the way."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from longtail.report.page.axes import draw_legend
from longtail.report.page.elements import figure, table
from longtail.report.page.page import LONGEST, Page, Row, Section
from longtail.report.page.panels import RIGHT, WIDTH, Panel, draw_curve, draw_frame, panel, room
from longtail.report.page.picture import LETTER, SHAPES, Picture, series
from longtail.report.page.run_records import Record, number, same_training, stages, thinned, which_run
from longtail.report.printable import listed, shown
from longtail.report.rows import UNKNOWN, percent

COLUMNS, HEIGHT = 3, 110.0
LOSS, SCORE = 2, 1
"""Series of the two lines."""
SCORED = "balanced_accuracy"


def section(page: Page) -> Section | None:
    """None without records of at least two epochs."""
    trainings = [(rows, records) for rows, records in same_training(page) if len(_losses(records)) > 1]
    if not trainings:
        return None
    about = (
        f"Of {which_run(page)}. Losses of different methods are on scales of their own and cannot be compared; dashed "
        f"lines begin another stage.{_alike(page, trainings)}"
    )
    if scored := any(_is_scored(records) for _, records in trainings):
        about += " Balanced accuracy is that of the test part, in percent, on the right; it decided nothing."
    picture = _picture(trainings, scored=scored)
    return Section("learning", "Learning curves", figure(picture, about, alternative=_table(trainings)))


Trainings = Sequence[tuple[list[Row], list[Record]]]


def _alike(page: Page, trainings: Trainings) -> str:
    shared = [f"{listed([row['method'] for row in rows])} share one training" for rows, _ in trainings if len(rows) > 1]
    drawn = {row["method"] for rows, _ in trainings for row in rows}
    rest = [row["method"] for row in page.rows if row["method"] not in drawn]
    return "".join(f" {text}." for text in shared) + (f" Without epochs: {listed(rest)}." if rest else "")


def _losses(records: Sequence[Record]) -> list[float]:
    return [value for record in records if (value := number(record, "loss")) is not None]


def _scores(records: Sequence[Record]) -> list[tuple[float, float]]:
    found = [(float(i), number(record.get("scores") or {}, SCORED)) for i, record in enumerate(records, 1)]
    return [(i, 100 * value) for i, value in found if value is not None]


def _is_scored(records: Sequence[Record]) -> bool:
    return len(_scores(records)) > 1


def _picture(trainings: Trainings, *, scored: bool) -> Markup:
    picture = Picture(
        "learning-picture", "Learning curves", "; ".join(_said(rows, records) for rows, records in trainings) + ".",
        WIDTH, 0,
    )  # fmt: skip
    top = draw_legend(picture, ["balanced accuracy", "loss"] if scored else ["loss"], 12, first=1 if scored else 2)
    picture.height = top + room(len(trainings), COLUMNS, HEIGHT)
    for i, (rows, records) in enumerate(trainings):
        losses = _losses(records)
        ends = (min(0.0, *losses), max(losses) * 1.02)
        right = 40.0 if scored else RIGHT
        made = panel(i, COLUMNS, HEIGHT, (1, len(records)), ends, top=top - 12, right=right)
        draw_frame(picture, made, _name(rows), "epoch", whole=True)
        _mark_stages(picture, made, records)
        points = [(float(i), number(record, "loss")) for i, record in enumerate(records, 1)]
        draw_curve(picture, made, thinned(points), f"curve {series(LOSS)}")
        if _is_scored(records):
            _draw_scores(picture, panel(i, COLUMNS, HEIGHT, (1, len(records)), (0, 100), top=top - 12, right=right),
                         _scores(records))  # fmt: skip
    return picture.markup()


def _draw_scores(picture: Picture, made: Panel, scores: Sequence[tuple[float, float]]) -> None:
    points = thinned(scores)
    draw_curve(picture, made, points, f"curve {series(SCORE)}")
    for epoch, value in points if len(points) <= 12 else ():
        picture.mark(made.at(epoch, value), f"mark {series(SCORE)}", SHAPES[SCORE], size=3.5)
    for value in (0, 50, 100):
        picture.text((made.x.end + 6, made.y.at(value) + 4.5), str(value), "muted")


def _mark_stages(picture: Picture, made: Panel, records: Sequence[Record]) -> None:
    """A dashed line where a stage begins, and its name where it has room."""
    begin, several = 0, stages(records)
    for name, count in several if len(several) > 1 else ():
        left = made.x.at(begin + 0.5) if begin else made.x.start
        if begin:
            picture.line((left, made.y.start), (left, made.y.end), "axis dashed")
        wide = made.x.at(min(begin + count + 0.5, len(records))) - left
        if LETTER * len(name) < wide:
            picture.text((left + 3, made.y.end - 2), shown(name, longest=24), "muted")
        begin += count


def _name(rows: Sequence[Row]) -> str:
    return ", ".join(row["method"] for row in rows)


def _said(rows: Sequence[Row], records: Sequence[Record]) -> str:
    losses = _losses(records)
    return f"{shown(_name(rows), longest=LONGEST)}: loss from {losses[0]:.3g} to {losses[-1]:.3g}"


def _table(trainings: Trainings) -> Markup:
    lines = [["method", "epochs", "first loss", "last loss", "balanced accuracy, first evaluated", "last"]]
    for rows, records in trainings:
        losses, scores = _losses(records), _scores(records)
        ends = [percent(value / 100) for _, value in (scores[0], scores[-1])] if len(scores) > 1 else [UNKNOWN] * 2
        epochs = " + ".join(f"{count} {shown(name)}" for name, count in stages(records))
        lines.append([shown(_name(rows), longest=LONGEST), epochs, f"{losses[0]:.4g}", f"{losses[-1]:.4g}", *ends])
    return table(lines, "<<>>>>", "Losses and scores of each training")
