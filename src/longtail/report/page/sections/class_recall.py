"""The recall of every class against its size: the reference, the best method, and what is context."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from longtail.report.class_runs import by_size, from_to, mean_known, run_label, runs
from longtail.report.page.axes import Scale, draw_axes, draw_legend, logarithmic
from longtail.report.page.elements import figure, table
from longtail.report.page.page import Page, Section
from longtail.report.page.picture import SHAPES, Picture, series
from longtail.report.printable import shown
from longtail.report.recall_plot import interval, recalls
from longtail.report.rows import percent
from longtail.report.small_classes import ENOUGH, MARK, small_classes, tested
from longtail.report.training_examples import counts_known

WIDTH, HEIGHT, LEFT = 760.0, 380.0, 44.0
MOST = 200
"""Classes up to which each has a mark and a line of the table; more are taken together, in runs of neighbours."""
APART = 5.0
"""Between the marks of one class, so that their intervals do not hide each other."""

Group = list[int]
Recall = dict[str, list[float | None]]


def section(page: Page) -> Section | None:
    """None where no method finished."""
    recall = recalls(page.summary)
    if not recall:
        return None
    groups = runs(by_size(page.summary["data"]["class_counts"]), most=MOST, pieces=MOST // 2)
    alone = len(groups) == len(page.classes)
    sizes = "training examples" if counts_known(page.summary) else "expected training examples"
    each = "" if alone else f"; a mark is the mean of about {len(page.classes) / len(groups):.3g} classes of one size"
    ends = ", with its 95 % interval from the test examples of the class" if alone else ""
    caption = f"Recall of each class against its {sizes} (logarithmic){ends}{each}"
    few = f" {MARK} marks classes with fewer than {ENOUGH} test examples." if small_classes(page.summary) else ""
    drawn = draw(page, recall, groups, caption, f"{sizes} of the class")
    lines = as_lines(page, recall, groups, sizes)
    alternative = table(lines, "<" + ">" * (len(lines[0]) - 1), "Recall of each class, percent [95 % interval]")
    content = figure(drawn, f"{caption}.{few}", alternative=alternative, title="Every class as a table")
    return Section("classes", "Recall by class size", content)


def as_lines(page: Page, recall: Recall, groups: Sequence[Group], sizes: str) -> list[list[str]]:
    """A line per class, or run of classes: its sizes, and each method's recall with its interval."""
    counts, tests, few = page.summary["data"]["class_counts"], tested(page.summary), small_classes(page.summary)
    lines = [["class", sizes, "test examples", *recall]]
    for group in groups:
        name = page.classes[group[0]] if len(group) == 1 else run_label([page.classes[j] for j in group])
        size = from_to(*(round(counts[j], 1) for j in (group[0], group[-1])))
        test = from_to(min(tests[j] for j in group), max(tests[j] for j in group))
        values = [_value(page, method, values, group) for method, values in recall.items()]
        lines.append([name, size, f"{test} {MARK}" if few & {*group} else test, *values])
    return lines


def _value(page: Page, method: str, values: Sequence[float | None], group: Group) -> str:
    ends = interval(page.summary, method, group)
    told = "" if ends is None else f" [{100 * ends[0]:.0f}, {100 * ends[1]:.0f}]"
    return percent(mean_known([values[j] for j in group])) + told


def draw(page: Page, recall: Recall, groups: Sequence[Group], caption: str, x_label: str) -> Markup:
    """A mark with its interval for each class and method; without a test example there is none."""
    counts = [mean_known([page.summary["data"]["class_counts"][j] for j in group]) or 0.0 for group in groups]
    picture = Picture("picture-classes", caption, _told(page, recall), WIDTH, HEIGHT)
    top = draw_legend(picture, [_name(page, name) for name in recall], 12) + 26
    x, y = logarithmic(counts, LEFT, WIDTH - 24), Scale(0, 100, HEIGHT - 50, top)
    draw_axes(picture, x, y, x_label, "recall, %")
    gap = min(APART, 0.5 * (x.end - x.start) / max(len(groups), 1))
    for i, (name, values) in enumerate(recall.items()):
        aside = gap * (i - (len(recall) - 1) / 2)
        for group, count in zip(groups, counts, strict=True):
            value = mean_known([values[j] for j in group])
            if value is None:
                continue
            place = x.at(count) + aside
            if (ends := interval(page.summary, name, group)) is not None:
                low, high = (y.at(100 * end) for end in ends)
                picture.line((place, low), (place, high), f"thin {series(i)}")
            picture.mark((place, y.at(100 * value)), f"mark {series(i)}", SHAPES[i % len(SHAPES)], 4.0)
    return picture.markup()


def _name(page: Page, method: str) -> str:
    return f"{shown(method)} (reference)" if method == page.reference and not page.is_run else shown(method)


def _told(page: Page, recall: Recall) -> str:
    """What a screen reader says: the mean recall of the groups; the table has every class."""
    groups = {name: page.summary["data"]["groups"].get(name) or [] for name in ("many", "medium", "few")}
    words = []
    for method, values in recall.items():
        means = [f"{name} {percent(mean_known([values[j] for j in js]))}" for name, js in groups.items() if js]
        words.append(f"{method}: mean recall of {', '.join(means)} percent" if means else method)
    return f"{'; '.join(words)}. The table below has every class."
