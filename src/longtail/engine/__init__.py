"""Training: stages, recipes, and the generator of epochs."""

from typing import Any

from longtail import aliases
from longtail.engine.fit import Training, fit
from longtail.engine.recipe import Recipe
from longtail.engine.stage import Built, Stage

__all__ = ["Built", "Recipe", "Stage", "Training", "fit"]


def __getattr__(name: str) -> Any:
    return aliases.name(__name__, name)
