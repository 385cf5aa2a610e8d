"""Training: stages, the generator of epochs, and the folder that one training leaves behind."""

from longtail.engine.fit import Training, fit
from longtail.engine.predictor import Predictor
from longtail.engine.recipe import Recipe
from longtail.engine.run import Run
from longtail.engine.stage import Stage

__all__ = ["Predictor", "Recipe", "Run", "Stage", "Training", "fit"]
