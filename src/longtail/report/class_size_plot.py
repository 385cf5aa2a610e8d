"""Class sizes as bars, in the terminal and as SVG: what `longtail inspect` draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len

from longtail.report.class_runs import by_size, from_to, run_label, runs
from longtail.report.printable import fitted, shortened, shown
from longtail.report.svg_figure import BLUE, GREY, PALE_BLUE, RED, draw, heading, with_room

WIDTH = 30
"""Columns of the longest bar in the terminal."""
MOST_NAMED = 40
"""Classes up to which the SVG gives each a bar with its name; beyond, ranks are put into bins."""
BINS = 100
GROUPS = {"many": BLUE, "medium": PALE_BLUE, "few": RED}
LOWEST = 0.6
"""Where the logarithmic axis begins: below 1, so that a class of one example has a bar."""


def text(names: Sequence[str], counts: Sequence[float], *, ascii_only: bool = False) -> str:
    """Class sizes as bars, largest first, a line per class or per run of classes where there are many."""
    groups = runs(by_size(counts))
    mark = "#" if ascii_only else "█"
    labels = [run_label([names[j] for j in group], ascii_only=ascii_only) for group in groups]
    width = max(map(cell_len, labels))
    lines = []
    for label, group in zip(labels, groups, strict=True):
        mean = sum(counts[j] for j in group) / len(group)
        bar = mark * max(1, round(WIDTH * mean / max(counts))) if mean else ""
        lines.append(f"{fitted(label, width)}  {bar:<{WIDTH}} {from_to(counts[group[0]], counts[group[-1]])}")
    return "\n".join(lines)


def svg(
    names: Sequence[str],
    counts: Sequence[float],
    title: str,
    groups: Mapping[str, Sequence[int]] | None = None,
    rule: str = "",
) -> str | None:
    """Class sizes as a picture, largest first; None without matplotlib.

    Up to MOST_NAMED classes each has a bar, its name and its size. Beyond, BINS bins of neighbouring ranks have a
    logarithmic axis, each from its smallest (full colour) to its largest class (pale).

    Args:
        names, counts: of the C classes.
        title: one line above.
        groups: the class indices of "many", "medium" and "few", which give the colours; None draws one.
        rule: in words, how the groups came about.
    """
    members = {name: set((groups or {}).get(name, ())) for name in GROUPS}
    colours = [next((c for name, c in GROUPS.items() if j in members[name]), BLUE) for j in range(len(counts))]
    order, few = by_size(counts), len(counts) <= MOST_NAMED

    def paint(figure: Any) -> None:
        from matplotlib.patches import Patch

        heading(figure, title)
        (_named_bars if few else _rank_bars)(figure.subplots(), names, counts, order, colours)
        present = [name for name in GROUPS if members[name]]
        if present:
            handles = [Patch(color=GROUPS[name], label=f"{name}: {len(members[name]):,} classes") for name in present]
            figure.legend(handles=handles, title=shown(rule, longest=80), alignment="left",
                          loc="outside lower left", ncols=3)  # fmt: skip

    return draw(paint, 9, 1.4 + 0.26 * len(counts) if few else 5)


def _named_bars(
    axes: Any, names: Sequence[str], counts: Sequence[float], order: Sequence[int], colours: Sequence[str]
) -> None:
    """A horizontal bar for each class."""
    largest = max(*counts, 1)
    lengths = [max(counts[j], largest / 400) if counts[j] else 0 for j in order]  # visible, however small
    drawn = axes.barh(range(len(order)), lengths, 0.75, color=[colours[j] for j in order])
    axes.bar_label(drawn, [f"{counts[j]:,.9g}" for j in order], padding=4, color=GREY)
    axes.set_yticks(range(len(order)), [with_room(shortened(names[j], 28)) for j in order])
    axes.set_ylim(max(len(order), 3) - 0.5, -0.5)  # the first is at the top
    axes.set_xlim(0, largest)
    axes.tick_params(length=0)
    axes.xaxis.set_visible(False)
    axes.spines[:].set_visible(False)


def _rank_bars(
    axes: Any, names: Sequence[str], counts: Sequence[float], order: Sequence[int], colours: Sequence[str]
) -> None:
    """Bins of ranks on a logarithmic axis."""
    bins = runs(order, most=BINS, pieces=BINS)
    for end, alpha in ((0, 0.35), (-1, 1)):
        heights = [max(counts[b[end]] - LOWEST, 0) for b in bins]
        shades = [colours[b[len(b) // 2]] for b in bins]
        axes.bar(range(len(bins)), heights, 0.86, bottom=LOWEST, color=shades, alpha=alpha, linewidth=0)
    axes.set_yscale("log")
    axes.set_ylim(LOWEST, 1.3 * max(*counts, 10))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.minorticks_off()
    axes.grid(axis="y")
    axes.set_ylabel("examples, logarithmic")
    axes.set_xticks([])
    ends = zip(("largest", "smallest"), (order[0], order[-1]), strict=True)
    several = f", {len(order) / BINS:.3g} to a bar: smallest (full) to largest (pale)" if len(order) > BINS else ""
    axes.set_xlabel(
        ", ".join(f"{which}: {shortened(names[j], 28)} ({counts[j]:,.9g})" for which, j in ends)
        + f"\n{len(order):,} classes by size{several}"
    )
