"""Rows of the training part that are dropped or relabelled, as a file of suspects says."""

from longtail.data.cleaning.corrections import Corrections, corrected_splits, corrections, fingerprint
from longtail.data.cleaning.lines import HEAD, Line, read_lines

__all__ = ["HEAD", "Corrections", "Line", "corrected_splits", "corrections", "fingerprint", "read_lines"]
