"""What tables show of the probes of a self-supervised run, from its predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from longtail.learners.probe_protocols import PROTOCOLS
from longtail.metrics import Tally

PREFIX, DRAW = "probe.", "#"
"""Of the names of the probes' scores (M, C) in predictions.safetensors; of several draws, "probe.NAME#0" and so on."""
GROUPS = ("many", "medium", "few")
SHOWN = ("balanced_accuracy", "accuracy", *GROUPS)
_ORDER = {name: i for i, name in enumerate(name for one in PROTOCOLS.values() for name in one.probes)}


def probe_scores(arrays: Mapping[str, Tensor], class_counts: Any) -> dict[str, dict[str, float | None]]:
    """Return balanced accuracy, accuracy, groups and their standard deviations for each probe; {} where there is none.

    Of several draws, means over them. std_population and std_sample: of the mean recalls of many, medium and few,
    divided by 3 and by 2. Scripts of the field compute the first, the table of GH has the second; None below three
    classes, which have no groups.
    """
    names = sorted(name.removeprefix(PREFIX) for name in arrays if name.startswith(PREFIX))
    draws: dict[str, list[str]] = {}
    for name in names:
        draws.setdefault(name.partition(DRAW)[0], []).append(name)
    results: dict[str, dict[str, float | None]] = {}
    for probe in sorted(draws, key=lambda name: _ORDER.get(name, -1)):
        measured = [_measured(arrays, PREFIX + name, class_counts) for name in draws[probe]]
        results[probe] = {key: _mean([one[key] for one in measured]) for key in SHOWN}
        results[probe] |= deviations([results[probe][group] for group in GROUPS])
    return results


def _measured(arrays: Mapping[str, Tensor], name: str, class_counts: Any) -> dict[str, Any]:
    tally = Tally(class_counts)
    tally.update(arrays[name], arrays["targets"], sample_weight=arrays.get("sample_weight"))
    return tally.result()


def deviations(groups: list[float | None]) -> dict[str, float | None]:
    """Return std_population and std_sample of the mean recalls of groups; None where a group has none."""
    known = [value for value in groups if value is not None]
    if len(known) < len(groups):
        return {"std_population": None, "std_sample": None}
    return {"std_population": float(np.std(known)), "std_sample": float(np.std(known, ddof=1))}


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None
