"""`longtail explain`: one method's equation, knobs, ranges and paper."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated

import typer

from longtail.cli import options as o


def explain(
    method: Annotated[str, typer.Argument(help="A method's name, see longtail methods.")],
    json: o.Json = False,
) -> int:
    """Explain METHOD: its equation, its knobs with ranges and defaults, its paper and how to cite it.

    Example: longtail explain ldam-drw
    """
    from longtail.methods.menu import explained

    row = explained(method)
    if json:
        print(jsonlib.dumps(row, indent=2))
        return 0
    print(f"{row['spec']}: {row['summary']}\n\n{row['body']}\n")
    print(f"Call: {row['signature']}")
    for knob in row["knobs"]:
        rule = f"  ({knob['range']})" if knob["range"] else ""
        print(f"  {knob['name']:<20} default {knob['default']!r}{rule}")
    cost = "trains a network" if row["retrains"] else "re-reads the scores of ce; nothing is retrained"
    print(f"Cost: {cost}" + ("; needs a validation part (--val 0.2)" if row["needs_val"] else ""))
    print(f"Presets: {', '.join(row['presets'])}\n\n{row['title']}, {row['paper']}\n{row['bibtex']}")
    return 0
