"""A reproduction as lines: per method ours, and every published number with the difference to it."""

from __future__ import annotations

from typing import Any

Found = dict[str, Any]
Row = dict[str, Any]

UNKNOWN = "–"
COLUMNS = ("published", "selected", "source", "last - published", "best-test - published", "note")


def lines(found: Found) -> list[str]:
    """For the terminal."""
    out = [*opening(found), ""]
    for row in found["rows"]:
        out += [f"{row['method']}   {ours(row)}", f"    {how(row)}"]
        cells = [COLUMNS, *map(published, row["published"])] if row["published"] else []
        widths = [max(len(line[i]) for line in cells) for i in range(len(COLUMNS))] if cells else []
        for line in cells:
            padded = [f"{c:{side}{w}}" for c, side, w in zip(line, "><<>><", widths, strict=True)]
            out.append(f"    {'  '.join(padded)}".rstrip())
        out += [] if cells else ["    no number is published for it on this benchmark"]
        out.append("")
    return [*out, *closing(found)]


def markdown(found: Found) -> str:
    """For reproduction.md."""
    out = [f"# {found['benchmark']}", *opening(found)[1:]]
    for row in found["rows"]:
        out += [f"## {row['method']}", f"{ours(row)}\n\n{how(row)}"]
        if row["published"]:
            table = [f"| {' | '.join(COLUMNS)} |", "|---:|---|---|---:|---:|---|"]
            out.append("\n".join([*table, *(f"| {' | '.join(published(p))} |" for p in row["published"])]))
        else:
            out.append("No number is published for it on this benchmark.")
        if row["command"]:
            out.append(f"`{row['command']}`")
    return "\n\n".join([*out, *closing(found)]) + "\n"


def opening(found: Found) -> list[str]:
    """What was measured, and what sets it apart from what was published."""
    train, test = sum(found["data"]["class_counts"]), sum(found["data"]["test_counts"])
    out = [
        found["benchmark"],
        f"Top-1 error in %, {train} training and {test} test images. last: the final epoch; best-test: the best of the "
        "epochs that were evaluated, chosen on the test set itself, as most papers report.",
    ]
    if found["deviations"]:
        told = "; ".join(found["deviations"])
        out.append(f"NOT THE PUBLISHED PROTOCOL ({told}): differences to published numbers show no success or failure.")
    apart = {row["method"]: row["recipe_changes"] for row in found["rows"] if row["recipe_changes"]}
    if apart:
        told = "; ".join(f"{m}: {', '.join(f'{k} {v}' for k, v in c.items())}" for m, c in apart.items())
        out.append(f"Trained under its own paper's recipe, so not comparable with the other rows: {told}.")
    return out


def ours(row: Row) -> str:
    """As in "last 23.10 ± 0.31, best-test 22.80 ± 0.20 (picked from 10 evaluations)"."""
    last = f"last {spread(row['last'])}"
    if row["best_test"] is None:
        return f"{last}, no best-test (only the final scores are corrected)"
    looks = row["evaluations"]
    several = looks if isinstance(looks, int) else f"{min(looks)} to {max(looks)}"
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
    return (error, number["select"], number["source"], *ends, number["note"])


def spread(value: dict[str, float | None]) -> str:
    """mean ± standard deviation over seeds; the mean alone for one seed."""
    deviation = "" if value["std"] is None else f" ± {value['std']:.2f}"
    return f"{value['mean']:.2f}{deviation}"


def signed(value: float | None) -> str:
    """Points with their sign."""
    return UNKNOWN if value is None else f"{value:+.2f}"


def closing(found: Found) -> list[str]:
    """Which images, and what is missing."""
    images = found["data"]["facts"].get("images", "")
    out = [
        f"Images: hash {images[:16]} of the chosen training images. Which these are follows from the order of the "
        "source files; the authors' very subset needs CIFAR's original files.",
    ]
    out += [f"FAILED: {f['method']}, seed {f['seed']}: {f['error']}" for f in found["failed"]]
    waiting = len(found["missing"]) - len(found["failed"])
    if waiting > 0:
        runs = "1 run was" if waiting == 1 else f"{waiting} runs were"
        out.append(f"{runs} not begun; give the same command again to run what is missing.")
    return out
