"""Run folders: one training, its folds, and its model and predictions."""

from longtail.runs.predictor import Predictor
from longtail.runs.run import Run
from longtail.runs.train import fit, train

__all__ = ["Predictor", "Run", "fit", "train"]
