"""A reproduction as lines: per method ours, and every published number with the difference to it."""

from __future__ import annotations

from typing import Any

from longtail.facts.ledger import mark
from longtail.report.rows import UNKNOWN
from longtail.report.tables import unfinished
from longtail.report.text_table import aligned, markdown_table

Summary = dict[str, Any]
Row = dict[str, Any]

COLUMNS = ("published", "selected", "source", "last - published", "best-test - published", "", "note")
SIDES = "><<>><<"
MARKS = "= comparable with ours, ≠ not comparable, ? unknown"


def lines(summary: Summary) -> list[str]:
    """The reproduction as lines for the terminal."""
    out = [*opening(summary), ""]
    for row in summary["rows"]:
        out += [f"{row['method']}   {ours(row)}", f"    {how(row)}"]
        table = aligned([COLUMNS, *map(published, row["published"])], SIDES)
        rest = table if row["published"] else ["no number is published for it on this benchmark"]
        out += [f"    {line}".rstrip() for line in (*rest, *not_comparable(row["published"]))]
        out.append("")
    return [*out, *closing(summary)]


def markdown(summary: Summary) -> str:
    """The reproduction as Markdown, for reproduction.md."""
    out = [f"# {summary['benchmark']}", *opening(summary)[1:]]
    for row in summary["rows"]:
        out += [f"## {row['method']}", f"{ours(row)}\n\n{how(row)}"]
        if row["published"]:
            out.append(markdown_table([COLUMNS, *map(published, row["published"])], SIDES))
            out += ["\n".join(f"- {line}" for line in apart)] if (apart := not_comparable(row["published"])) else []
        else:
            out.append("No number is published for it on this benchmark.")
        if row["command"]:
            out.append(f"`{row['command']}`")
    return "\n\n".join([*out, *closing(summary)]) + "\n"


def opening(summary: Summary) -> list[str]:
    """What was measured, and what sets it apart from what was published."""
    train, test = sum(summary["data"]["class_counts"]), sum(summary["data"]["test_counts"])
    out = [
        summary["benchmark"],
        f"Top-1 error in %, {train} training and {test} test images. last: the final epoch; best-test: the best of the "
        f"epochs that were evaluated, chosen on the test set itself, as most papers report. {MARKS}.",
    ]
    if summary["deviations"]:
        deviations = "; ".join(summary["deviations"])
        out.append(
            f"NOT THE PUBLISHED PROTOCOL ({deviations}): differences to published numbers show no success or failure."
        )
    apart = {row["method"]: row["recipe_changes"] for row in summary["rows"] if row["recipe_changes"]}
    if apart:
        changes = "; ".join(f"{m}: {', '.join(f'{k} {v}' for k, v in c.items())}" for m, c in apart.items())
        out.append(f"Trained under its own paper's recipe, so not comparable with the other rows: {changes}.")
    return out


def ours(row: Row) -> str:
    """As in "last 23.10 ± 0.31, best-test 22.80 ± 0.20 (picked from 10 evaluations)"."""
    last = f"last {spread(row['last'])}"
    if row["best_test"] is None:
        return f"{last}, no best-test (only the final scores are corrected)"
    count = row["evaluations"]
    several = count if isinstance(count, int) else f"{min(count)} to {max(count)}"
    picked = f"picked from {several} evaluations" if several != 1 else "1 evaluation, the last epoch's"
    return f"{last}, best-test {spread(row['best_test'])} ({picked})"


def how(row: Row) -> str:
    """Recipe, epochs, seeds, precision, cost and machine."""
    seeds, speed = row["seeds"], row["images_per_second"]
    count = f"{len(seeds)} seed{'s' * (len(seeds) > 1)} ({', '.join(map(str, seeds))})"
    rate = "" if speed is None else f", {speed:.0f} images/s"
    threads = "1 thread" if row["threads"] == 1 else f"{row['threads']} threads"
    shared = f", training shared with {row['reuses'].split('/')[0].rsplit('-', 1)[0]}" if row["reuses"] else ""
    return (
        f"{row['recipe']} recipe, {row['epochs']} epochs, {count}, {row['precision']}, "
        f"{row['seconds']:.1f} s a run{rate} on {threads}{shared}; {row['machine']}"
    )


def published(number: dict[str, Any]) -> tuple[str, ...]:
    """One line of the table."""
    error = f"{number['error']:.2f}" + (f" ± {number['std']:.2f}" if number["std"] is not None else "")
    ends = (signed(number["difference"][kind]) for kind in ("last", "best_test"))
    note = "; ".join(filter(None, (number["variant"], number["note"])))
    return (error, number["select"], number["source"], *ends, mark(number["not_comparable"]), note)


def not_comparable(numbers: list[dict[str, Any]]) -> list[str]:
    """Why numbers are not comparable, a line for each source, as in "≠ Cui et al. 2019: subset without a seed".

    Where a source has other numbers too, the line names those that it is about. Variants are shown with their numbers.
    """
    sources: dict[str, dict[tuple[str, ...], list[str]]] = {}
    for number in numbers:
        reasons = tuple(reason for reason in number["not_comparable"] if reason != number["variant"])
        sources.setdefault(number["source"], {}).setdefault(reasons, []).append(f"{number['error']:.2f}")
    return [
        f"{mark(reasons)} {', '.join([source, *(errors if len(groups) > 1 else [])])}: {'; '.join(reasons)}"
        for source, groups in sources.items()
        for reasons, errors in groups.items()
        if reasons
    ]


def spread(value: dict[str, float | None]) -> str:
    """mean ± standard deviation over seeds; the mean alone for one seed."""
    deviation = "" if value["std"] is None else f" ± {value['std']:.2f}"
    return f"{value['mean']:.2f}{deviation}"


def signed(value: float | None) -> str:
    """Points with their sign."""
    return UNKNOWN if value is None else f"{value:+.2f}"


def closing(summary: Summary) -> list[str]:
    """Which images, and what is missing."""
    images = summary["data"]["facts"].get("images", "")
    return [
        f"Images: hash {images[:16]} of the chosen training images. Which these are follows from the order of the "
        "source files; the authors' own subset needs CIFAR's original files.",
        *unfinished(summary),
    ]
