"""How far a tracked class prior is from the true class shares while training: a panel a comparison, a line a method.

    python -m benchmarks.prior_distances runs/partial-0.3 runs/partial-0.5 --out prior-distance

of folders that `longtail compare digits --ambiguity 0.3 --methods all --out runs/partial-0.3` has written. Writes
<out>.svg, and <out>.json with the numbers: the L2 distance after each epoch, its mean over the seeds, and the distance
of equal shares.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

from longtail.facts.files import write_json
from longtail.report.prior_plot import KEY
from longtail.report.svg_figure import BLUE, GREEN, GREY, ORANGE, PALE_BLUE, RED, draw

COLOURS = (BLUE, RED, GREEN, ORANGE, PALE_BLUE, "#7b4b94")
MOST = 6
"""Methods that are drawn."""


def distances(folder: Path) -> dict[str, list[list[float]]]:
    """Return, per method with such a prior, the distances by epoch of each of its runs."""
    found: dict[str, list[list[float]]] = defaultdict(list)
    for path in sorted(folder.glob("*/seed-*/metrics.jsonl")):
        records = [json.loads(line) for line in path.read_text().splitlines()]
        if any(KEY in record for record in records):
            config = json.loads((path.parent / "config.json").read_text())
            found[config["method"]].append([record[KEY] for record in records if KEY in record])
    return dict(found)


def of_equal_shares(counts: list[int]) -> float:
    """Return the distance of equal class shares to those of these counts."""
    total = sum(counts)
    return math.dist([1 / len(counts)] * len(counts), [n / total for n in counts])


def paint(figure: Any, panels: dict[str, dict[str, Any]]) -> None:
    """Draw the panels side by side, with one scale."""
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    names = sorted({name for panel in panels.values() for name in panel["methods"]})[:MOST]
    for ax, (title, panel) in zip(axes, panels.items(), strict=True):
        ax.axhline(panel["equal shares"], color=GREY, linewidth=0.8, linestyle=":", label="equal shares")
        for name, colour in zip(names, COLOURS, strict=False):
            if name in panel["methods"]:
                mean = panel["methods"][name]
                ax.plot(range(1, len(mean) + 1), mean, color=colour, label=name)
        ax.set_title(title, loc="left", fontsize=10)
        ax.set_ylim(bottom=0)
        ax.set_xlabel("epoch")
        ax.grid(axis="y")
    axes[0].set_ylabel("L2 distance of the tracked prior\nto the true class shares, mean of the seeds")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")


def main() -> None:
    """Read the folders, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    panels: dict[str, dict[str, Any]] = {}
    for folder in given.folders:
        runs = distances(folder)
        if not runs:
            parser.error(f"{str(folder)!r} must have runs that track a prior, got none; compare records on it")
        means = {name: [round(sum(e) / len(e), 4) for e in zip(*of, strict=True)] for name, of in runs.items()}
        data = json.loads((folder / "comparison.json").read_text())["data"]
        title = f"{data['name']}, ambiguity {data['facts']['ambiguity']}"
        panels[title] = {"equal shares": round(of_equal_shares(data["class_counts"]), 4), "methods": means}
    write_json(given.out.with_suffix(".json"), panels)
    drawn = draw(lambda figure: paint(figure, panels), 5 * len(panels) + 2.5, 4)
    if drawn is not None:
        given.out.with_suffix(".svg").write_text(drawn)


if __name__ == "__main__":
    main()
