"""What each example should be taught now; a method that estimates or refines labels is a file here."""

from longtail.targets.assigned import Assigned
from longtail.targets.candidates import CandidateSets, Confidences
from longtail.targets.confident import Confident
from longtail.targets.debiased import Debiased, Records
from longtail.targets.given import Given

__all__ = ["Assigned", "CandidateSets", "Confidences", "Confident", "Debiased", "Given", "Records"]
