"""The instance weights of each class epoch by epoch, and what a weight net learned, of methods that have any."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from longtail.report.class_runs import mean_known
from longtail.report.page.axes import draw_legend
from longtail.report.page.elements import figure, joined, table
from longtail.report.page.page import Page, Section
from longtail.report.page.panels import WIDTH, draw_curve, draw_frame, panel, room
from longtail.report.page.picture import SHAPES, Picture, series
from longtail.report.page.run_records import Record, named_trainings, thinned, which_run
from longtail.report.printable import shown
from longtail.report.rows import UNKNOWN
from longtail.report.weight_net_plot import KEY as NET
from longtail.report.weight_net_plot import MOST
from longtail.report.weight_plot import KEY

COLUMNS, HEIGHT = 2, 150.0
GROUPS = ("many", "medium", "few")
COLOURS = (2, 3, 1)
"""Series of many, medium and few: blue for large classes, red for small ones."""
ALONE = 30
"""Classes up to which each has a thin line of its own."""

Having = tuple[str, list[Record]]


def section(page: Page) -> Section | None:
    """None where no method had instance weights."""
    named = named_trainings(page)
    weighted = [(name, records) for name, records in named if any(record.get(KEY) for record in records)]
    nets = [(name, curves) for name, records in named if (curves := [r for r in records if r.get(NET)])]
    parts = [_by_class(page, weighted)] if weighted else []
    parts += [_by_loss(page, nets)] if nets else []
    return Section("weights", "Instance weights", joined(parts)) if parts else None


def _members(page: Page) -> dict[str, list[int]]:
    """The classes of each line: many, medium and few, or every class by itself where there are no groups."""
    groups = page.summary["data"]["groups"]
    known = {name: groups[name] for name in GROUPS if groups.get(name)}
    return known or {name: [j] for j, name in enumerate(page.classes)}


def _means(records: Sequence[Record], classes: Sequence[int]) -> list[tuple[float, float | None]]:
    """Epoch and mean weight of these classes; None where none of them was seen."""
    return [
        (float(i), mean_known([record[KEY][j] for j in classes]) if record.get(KEY) else None)
        for i, record in enumerate(records, 1)
    ]


def _by_class(page: Page, weighted: Sequence[Having]) -> Markup:
    members = _members(page)
    picture = Picture(
        "weights-picture", "Average instance weight by class, epoch by epoch",
        f"One panel for each of {len(weighted)} trainings; the table below has the first and the last epoch.", WIDTH, 0,
    )  # fmt: skip
    colour = dict(zip(members, COLOURS if set(members) <= set(GROUPS) else (2, 1), strict=False))
    left = 6.0
    for name in members:
        picture.mark((left, 12), f"mark {series(colour[name])}", SHAPES[colour[name] % len(SHAPES)])
        picture.text((left + 11, 16.5), shown(name, longest=24))
        left += 120
    picture.height = 20 + room(len(weighted), COLUMNS, HEIGHT)
    single = len(page.classes) <= ALONE and set(members) <= set(GROUPS)
    for i, (name, records) in enumerate(weighted):
        lines = {group: _means(records, classes) for group, classes in members.items()}
        each = {j: _means(records, [j]) for j in range(len(page.classes))} if single else {}
        values = [value for line in [*lines.values(), *each.values()] for _, value in line if value is not None]
        made = panel(i, COLUMNS, HEIGHT, (1, len(records)), (0.0, max(values) * 1.02), top=20)
        draw_frame(picture, made, name, "epoch", whole=True)
        for group, classes in members.items():
            for j in classes if single else ():
                draw_curve(picture, made, thinned(each[j], 40), f"thin {series(colour[group])}")
        for group, line in lines.items():
            draw_curve(picture, made, thinned(line), f"curve {series(colour[group])}")
            known = [(x, y) for x, y in line if y is not None]
            if known:
                shape = SHAPES[colour[group] % len(SHAPES)]
                picture.mark(made.at(*known[-1]), f"mark {series(colour[group])}", shape)
    about = f"Average weight of the training examples of a class in an epoch, of {which_run(page)}; thick: the mean of "
    about += "the classes of a group" + (", thin: each class." if single else ".")
    return figure(picture.markup(), about, alternative=_table(weighted, members))


def _table(weighted: Sequence[Having], members: dict[str, list[int]]) -> Markup:
    lines = [["method", "epoch", *(shown(name, longest=24) for name in members)]]
    for name, records in weighted:
        having = [i for i, record in enumerate(records) if record.get(KEY)]
        for i in sorted({having[0], having[-1]}):
            means = [mean_known([records[i][KEY][j] for j in classes]) for classes in members.values()]
            lines.append([name, str(i + 1), *(UNKNOWN if mean is None else f"{mean:.3f}" for mean in means)])
    return table(lines, "<>" + ">" * len(members), "Average instance weights, first and last epoch that had any")


def _by_loss(page: Page, nets: Sequence[Having]) -> Markup:
    picture = Picture(
        "weight-nets-picture", "Weight that a net learned to give an example, by its loss",
        f"One panel for each of {len(nets)} trainings, with a curve for each of some epochs.", WIDTH, 0,
    )  # fmt: skip
    top = draw_legend(picture, ["first epoch"], 12) - 20
    picture.mark((126, top), f"mark {series(1)}", SHAPES[1])
    picture.text((137, top + 4.5), "last epoch")
    picture.height = 20 + room(len(nets), COLUMNS, HEIGHT)
    lines = [["method", "epoch", "weight at loss 0", "at the largest loss", "largest loss"]]
    for i, (name, records) in enumerate(nets):
        chosen = thinned(records, MOST)
        largest = max(max(record[NET]["losses"]) for record in chosen)
        made = panel(i, COLUMNS, HEIGHT, (0.0, largest), (0.0, 1.0), top=20)
        draw_frame(picture, made, name, "loss of an example")
        for k, record in enumerate(chosen):
            points = thinned(list(zip(record[NET]["losses"], record[NET]["weights"], strict=True)), 40)
            ends = k in (0, len(chosen) - 1)
            index = 1 if k and k == len(chosen) - 1 else 0
            draw_curve(picture, made, points, f"{'curve' if ends else 'thin'} {series(index)}")
            if ends:
                picture.mark(made.at(*points[-1]), f"mark {series(index)}", SHAPES[index])
                weights = (points[0][1], points[-1][1])
                lines.append([name, str(record["epoch"]), *(f"{w:.3f}" for w in weights), f"{points[-1][0]:.4g}"])
    about = f"What the net gives an example before a batch is normalised, of {which_run(page)}; thin: epochs between."
    caption = "Weights of the net, first and last epoch"
    return figure(picture.markup(), about, alternative=table(lines, "<>>>>", caption))
