"""`longtail inspect`: the shape of the imbalance, before anything is trained."""

from __future__ import annotations

import json as jsonlib

from longtail.cli import options as o


def inspect(
    data: o.Data = "digits",
    ratio: o.Ratio = None,
    profile: o.Profile = "exp",
    label: o.Label = None,
    data_dir: o.DataDir = None,
    val: o.Val = None,
    json: o.Json = False,
) -> int:
    """Show how imbalanced DATA are: class sizes, ratio, groups, and what cannot be measured.

    Example: longtail inspect embeddings.npz
    """
    from longtail.comparison.inspection import inspection
    from longtail.data import load

    found = inspection(load(data, label=label, data_dir=data_dir, ratio=ratio, profile=profile, val=val))
    if json:
        print(jsonlib.dumps(found, indent=2))
        return 0
    from longtail.cli import screen
    from longtail.report import picture

    out = screen.console()
    out.print(found["headline"], markup=False, style="bold")
    out.print(
        picture.bars(found["classes"], found["class_counts"], ascii_only=not screen.draws_blocks()),
        markup=False,
    )
    for line in found["findings"]:
        out.print(f"- {line}", markup=False)
    return 0
