"""Rows, and a fit without a run, for the tests of resampled and balanced classifiers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.data import Examples, TrainingSet
from longtail.engine import Recipe
from longtail.engine.randomness import seeded
from longtail.learners.estimator import EstimatorLearner
from longtail.methods import method

SIZES = (60, 30, 12)
FEATURES = Recipe(epochs=1, model="mlp")
TABLE = Recipe(epochs=1, model="tabular", model_args={"numeric": 3, "categories": [4, 3]})
RESAMPLED = tuple(
    f"{one}-{how}"
    for one in ("logistic", "trees")
    for how in ("smote", "borderline-smote", "over", "under", "smote-under")
)
ENSEMBLES = ("balanced-forest", "easy-ensemble", "rusboost", "self-paced")
OWN = (*RESAMPLED, *ENSEMBLES)


def rows(sizes: tuple[int, ...] = SIZES, codes: bool = False, seed: int = 0) -> Examples:
    """Gaussian classes; with codes, two columns of 4 and 3 categories, of which the first follows the class."""
    g = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(sizes)), sizes)
    x = g.normal(size=(len(y), 3)) * [1, 10, 0.1] + y[:, None] * [1.5, 5, 0]
    if codes:
        x = np.c_[x, np.minimum(y + g.integers(0, 2, len(y)), 3), g.integers(0, 3, len(y))]
    return Examples(torch.from_numpy(x).float(), torch.from_numpy(y), tuple("abcdefgh"[: len(sizes)]))


def learner(key: str, train: Examples, recipe: Recipe = FEATURES) -> EstimatorLearner:
    (stage,) = method(key).stages(recipe)
    found: Any = stage.build(TrainingSet(train), None).learner
    return found


def fitted(key: str, train: Examples, recipe: Recipe = FEATURES, seed: int = 0) -> EstimatorLearner:
    """Fitted as a run fits it, and not saved."""
    found = learner(key, train, recipe)
    with seeded(seed, 0, 0):
        found.start_epoch(train, 0.0)
    return found


def seed_of(seed: int = 0) -> int:
    with seeded(seed, 0, 0):
        return torch.initial_seed() % 2**32


def by_hand(pipeline: Any, train: Examples, inputs: Tensor) -> Any:
    pipeline.fit(train.inputs.double().numpy(), train.targets.numpy())
    return pipeline.predict_proba(inputs.double().numpy())
