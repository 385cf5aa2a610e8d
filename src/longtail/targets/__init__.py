"""What each example should be taught now; a method that estimates or refines labels is a file here."""

from longtail.targets.alignment import Aligned, Alignment
from longtail.targets.assigned import Assigned
from longtail.targets.candidates import CandidateSets, Confidences
from longtail.targets.cleaned import Cleaned
from longtail.targets.confident import Confident, Soft
from longtail.targets.darp import DARP
from longtail.targets.debiased import Debiased, Records
from longtail.targets.given import Given
from longtail.targets.guess import Guess
from longtail.targets.refinement import Refinement
from longtail.targets.truncated import Truncated

__all__ = [
    "DARP",
    "Aligned",
    "Alignment",
    "Assigned",
    "CandidateSets",
    "Cleaned",
    "Confidences",
    "Confident",
    "Debiased",
    "Given",
    "Guess",
    "Records",
    "Refinement",
    "Soft",
    "Truncated",
]
