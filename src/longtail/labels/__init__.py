"""Wrong labels: which rows are suspects, why, and of which classes nothing can be said yet."""

from typing import Any

from longtail import aliases
from longtail.labels.found import ClassReport, Suspect
from longtail.labels.judge import judged
from longtail.labels.margins import Margins, below_threshold, margin, threshold_samples
from longtail.labels.out_of_sample import Evidence
from longtail.labels.result import Suspects
from longtail.labels.suspects import suspects

__all__ = [
    "ClassReport",
    "Evidence",
    "Margins",
    "Suspect",
    "Suspects",
    "below_threshold",
    "judged",
    "margin",
    "suspects",
    "threshold_samples",
]


def __getattr__(name: str) -> Any:
    return aliases.name(__name__, name)
