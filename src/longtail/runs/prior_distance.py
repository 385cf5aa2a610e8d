"""How far a class prior that training estimates is from the truth, where that is known."""

from __future__ import annotations

import math

from longtail.data import Splits
from longtail.facts.types import Record


def prior_distance(record: Record, splits: Splits) -> float | None:
    """Return the L2 distance of the record's prior to the true class shares of the training rows.

    None where the record has no prior, or the true labels are unknown.
    """
    if "prior" not in record or splits.clean_counts is None:
        return None
    counts = splits.clean_counts.double()
    return math.dist(record["prior"], (counts / counts.sum()).tolist())
