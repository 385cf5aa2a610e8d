"""Experiment trackers: what a training records, sent to TensorBoard, MLflow or Weights & Biases as well.

A tracker only reads what passes by: it changes no number and no identity of a run, its failure is one warning, and it
reaches no network unless the address given is one.
"""

from longtail.runs.trackers.named import Tracker, named
from longtail.runs.trackers.tracked import Tracking, prepare, tracked

__all__ = ["Tracker", "Tracking", "named", "prepare", "tracked"]
