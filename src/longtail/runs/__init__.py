"""From a method and data to a folder: one training, its folds, and the model and predictions that it leaves."""

from longtail.runs.predictor import Predictor
from longtail.runs.run import Run
from longtail.runs.train import fit, train

__all__ = ["Predictor", "Run", "fit", "train"]
