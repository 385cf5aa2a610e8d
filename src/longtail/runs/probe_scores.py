"""What tables show of the probes of a self-supervised run, from its predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from longtail.learners.probes import PROBES
from longtail.metrics import evaluate

PREFIX = "probe."
"""Of the names of the probes' scores (M, C) in predictions.safetensors."""
GROUPS = ("many", "medium", "few")


def probe_scores(arrays: Mapping[str, Tensor], class_counts: Any) -> dict[str, dict[str, float | None]]:
    """Return balanced accuracy, accuracy, groups and their standard deviations for each probe; {} where there is none.

    std_population and std_sample: of the mean recalls of many, medium and few, divided by 3 and by 2. Scripts of the
    field compute the first, the table of GH has the second; None below three classes, which have no groups.
    """
    results: dict[str, dict[str, float | None]] = {}
    for name in PROBES:
        if (scores := arrays.get(PREFIX + name)) is not None:
            weight = arrays.get("sample_weight")
            measured = evaluate(scores, arrays["targets"], class_counts=class_counts, sample_weight=weight)
            groups = [measured[group] for group in GROUPS]
            deviations = [None if None in groups else float(np.std(groups, ddof=ddof)) for ddof in (0, 1)]
            results[name] = {key: measured[key] for key in ("balanced_accuracy", "accuracy", *GROUPS)}
            results[name] |= dict(zip(("std_population", "std_sample"), deviations, strict=True))
    return results
