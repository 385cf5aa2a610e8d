"""`longtail explain`: one method's equation, when it works and breaks, knobs, ranges and paper."""

from __future__ import annotations

import textwrap
from typing import Annotated, Any

import typer

from longtail.cli import options as o
from longtail.cli.terminal import print_json

HEADINGS = {"works": "When it works", "breaks": "When it breaks", "differences": "Paper and released code"}
"""Field of an explanation -> the heading that it is printed under."""
WIDTH = 116


def explain(
    method: Annotated[
        str, typer.Argument(help="A method's name, see longtail methods, or sklearn:package.module.Class.")
    ],
    json: o.Json = False,
) -> int:
    """Explain METHOD: its equation, when it works and breaks, knobs with ranges and defaults, paper and released code.

    Example: longtail explain ldam-drw
    """
    from longtail.comparison.benchmarks import usual_protocol
    from longtail.facts import ledger
    from longtail.methods import explained
    from longtail.report.printable import shown

    row = explained(method)
    row |= ledger.known(row["spec"], usual_protocol)
    if json:
        print_json(row)
        return 0
    print(_description(row))
    print(f"Call: {row['signature']}")
    for knob in row["knobs"]:
        rule = f"  ({knob['range']})" if knob["range"] else ""
        print(f"  {knob['name']:<20} default {knob['default']!r}{rule}")
    for name, value in row.get("classifier", {}).items():
        print(f"  {name:<20} {shown(value, longest=WIDTH)}")
    if "rows" in row:
        print("Rows of a comparison:", *(f"  {name:<20} {words}" for name, words in row["rows"].items()), sep="\n")
    for line in row["example"]:
        print(f"Example: {line}" if line == row["example"][0] else f"         {line}")
    trains = f"trains {row['trains']}"
    cost = trains if row["retrains"] else f"re-reads the scores of {row['reads']}; nothing is retrained"
    print(f"Cost: {cost}" + ("; needs a validation part (--val 0.2)" if row["needs_val"] else ""))
    for stage, reason in row["eager"].items():
        print(f"Not captured as a CUDA graph: stage {stage}, {reason}")
    if row["twin"]:
        print(f"Twin: {row['twin']}, the plain method of the same model; a comparison pairs the two")
    print(f"Presets: {', '.join(row['presets']) or 'none'}\n\n{row['title']}, {row['paper']}\n{row['bibtex']}")
    for line in [*_numbers(row), *_protocols(row)]:
        print(line)
    return 0


def _description(row: dict[str, Any]) -> str:
    """Return the method's docstring under plain headings; paragraphs that it does not have are omitted."""
    parts = [f"{row['spec']}: {row['summary']}", row["equation"], row["body"]]
    for field, heading in HEADINGS.items():
        indented = textwrap.fill(row[field], WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
        parts.append(f"{heading}\n{indented}" if row[field] else "")
    return "\n\n".join(part for part in parts if part) + "\n"


def _protocols(row: dict[str, Any]) -> list[str]:
    """How papers evaluate encoders, one block for each aspect, at simclr; at other encoders where to find it."""
    from longtail.learners.probe_protocols import PROTOCOLS, protocol_table

    if row["task"] != "self-supervised":
        return []
    if row["spec"] != "simclr":
        return ["", "How papers judge encoders (--protocol): longtail explain simclr"]
    head, *aspects = protocol_table()
    lines = ["", "How encoders are judged, by --protocol:"]
    for aspect, *said in aspects:
        lines += [f"  {aspect}", *(f"    {name:<26} {text}" for name, text in zip(head[1:], said, strict=True))]
    lines.append("Otherwise than in the paper:")
    return lines + [f"  {name}: {sentence}" for name, one in PROTOCOLS.items() for sentence in one.otherwise]


def _numbers(row: dict[str, Any]) -> list[str]:
    """Published numbers, one line per benchmark; why some are not comparable with ours; and ours."""
    from longtail.facts.ledger import mark
    from longtail.report import reproduction

    by_benchmark: dict[str, list[str]] = {}
    for number in row["published"]:
        variant = f", {number['variant']}" if number["variant"] else ""
        text = (
            f"{mark(number['not_comparable'])} {number['error']:.2f} {number['source']} ({number['select']}{variant})"
        )
        by_benchmark.setdefault(number["benchmark"], []).append(text)
    title = f"Published top-1 error on the balanced test set, %. {reproduction.MARKS}:"
    lines = ["", title] if by_benchmark else []
    width = max([17, *map(len, by_benchmark), *(len(ours["benchmark"]) for ours in row["measured"])])
    lines += [f"  {name:<{width}} {' · '.join(numbers)}" for name, numbers in by_benchmark.items()]
    apart = reproduction.not_comparable(row["published"])
    lines += ["", "Not comparable with longtail reproduce:", *(f"  {line}" for line in apart)] if apart else []
    lines += ["", "Measured with longtail reproduce, %:"] if row["measured"] else []
    for ours in row["measured"]:
        short = "; not the published protocol" if ours.get("deviations") else ""
        lines += [f"  {ours['benchmark']:<{width}} {reproduction.ours(ours)}{short}"]
        lines += [f"  {'':<{width}} {reproduction.how(ours)}"]
    return lines
