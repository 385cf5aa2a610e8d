"""Class shares of rows without labels by a model, as text: what `longtail inspect --model` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len

from longtail.report.class_runs import LABEL, MOST_LINES, by_size
from longtail.report.printable import fitted, shortened
from longtail.report.text_table import aligned

COLUMNS = {
    "labels": "labels", "mean_probability": "mean probability", "argmax": "arg-max", "em": "EM", "truth": "truth",
}  # fmt: skip
"""Key of the shares -> head of its column."""
DISTANCE = "distance to the labels"


def table(found: Mapping[str, Any], classes: Sequence[str], *, ascii_only: bool = False) -> list[str]:
    """Return the lines of the table: a class each in % of the rows, then the distances.

    Of more than 12 classes those whose share by EM differs most from that of the labels.

    Args:
        found: `class_shares` of an inspection.
        classes: the C class names.
    """
    shares = {key: values for key, values in found["shares"].items() if values is not None}
    apart = [abs(a - b) for a, b in zip(shares["em"], shares["labels"], strict=True)]
    chosen = set(by_size(apart)[:MOST_LINES])
    names = [shortened(name, LABEL, ascii_only=ascii_only) for name in classes]
    lines = [["class, in %", *(COLUMNS[key] for key in shares)]]
    lines += [
        [names[j], *(f"{100 * values[j]:.1f}" for values in shares.values())]
        for j in by_size(shares["labels"])
        if j in chosen
    ]
    far = [found["distances"].get(key) for key in shares]
    lines.append([DISTANCE, *("" if d is None else f"{d:.3f}" for d in far)])
    width = max(cell_len(line[0]) for line in lines)  # a letter may take two columns
    first = [fitted(line[0], width) for line in lines]
    rest = aligned([line[1:] for line in lines], ">" * len(shares))
    return [f"{a}  {b}".rstrip() for a, b in zip(first, rest, strict=True)]


def sentences(found: Mapping[str, Any], classes: Sequence[str]) -> list[str]:
    """Return what the table's numbers mean, and what they are worth."""
    few = f"; the {MOST_LINES} of {len(classes)} classes that differ most by EM" if len(classes) > MOST_LINES else ""
    off = (
        "how far off EM is on the test rows is not known, as the model was trained on other rows than these"
        if found["tested"] is None
        else f"on the test rows, whose classes are known, EM is off by {found['tested']:.3f} (the larger distance of "
        "these as they are and with the rare classes in the majority)"
    )
    lines = [
        f"distance: total variation, half the sum of the absolute differences, 0 (equal) to 1{few}. Two samples of "
        f"these sizes with equal shares are up to {found['by_chance']:.3f} apart by chance (95 %); {off}",
        "a model favours the frequent classes of its training, and so do mean probability and arg-max; EM (expectation "
        "maximisation) corrects this where the model is calibrated and the rows of a class are alike, labelled or not",
    ]
    if not found["converged"]:
        lines.append("EM did not converge, so its shares are those on the way")
    return [*lines, *found["notes"]]
