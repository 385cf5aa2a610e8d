"""scikit-learn's classifiers for given columns, and which training parts they refuse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from longtail.data import Examples, Part
from longtail.engine import Recipe
from longtail.engine.default_recipe import SCALED

MOST_VALUES = 1024
"""Values an example may have: beyond, a network's features are the better input and the fit would take hours."""
MOST_SCORES = 100_000_000
"""Training rows x classes that logistic regression may have: it holds several such arrays in float64."""
MOST_CLASSES = 200
"""Classes that trees may have: every iteration grows a tree for each."""
BINS = 255
"""Codes that a column may have and still be one of categories for trees; with more, the codes count as numbers."""


class Columns(NamedTuple):
    """What the columns of the inputs are: numbers first, then codes, for each of which its number of codes."""

    numeric: int
    categories: Sequence[int]
    scaled: bool

    @property
    def codes(self) -> list[int]:
        """Where the columns of codes stand."""
        return list(range(self.numeric, self.numeric + len(self.categories)))


def columns_of(recipe: Recipe, data: Part) -> Columns:
    """As the recipe tells its network; without a network for tables every value is a number."""
    categories = recipe.model_args.get("categories", ()) if recipe.model == "tabular" else ()
    total = int(np.prod(data.input_shape))
    scaled = bool(categories) or recipe.standardize == SCALED
    return Columns(total - len(categories), categories, scaled)


def logistic(columns: Columns, seed: int, targets: NDArray[np.int64], *, C: float) -> Any:
    """Logistic regression on scaled numbers and one-hot codes, not yet fitted."""
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    model = LogisticRegression(C=C, max_iter=1000, random_state=seed)
    if not columns.scaled:  # then there are no codes
        return make_pipeline(StandardScaler(), model)
    numbers = ("numbers", "passthrough", list(range(columns.numeric)))
    codes = ("codes", OneHotEncoder(handle_unknown="ignore"), columns.codes)
    return make_pipeline(ColumnTransformer([part for part in (numbers, codes) if part[2]]), model)


def boosting(columns: Columns, seed: int, targets: NDArray[np.int64], **knobs: Any) -> Any:
    """Gradient boosting that knows which columns are categories, not yet fitted."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    counts = np.bincount(targets)
    # its held-out tenth is stratified, which a class of one row, or more classes than rows held out, make impossible
    divisible = counts[counts > 0].min() > 1 and (counts > 0).sum() <= len(targets) // 10
    codes = [code for code, size in zip(columns.codes, columns.categories, strict=True) if size <= BINS]
    return HistGradientBoostingClassifier(
        **knobs,
        categorical_features=codes or None,
        early_stopping="auto" if divisible else False,
        random_state=seed,
    )


def slower(estimator: Any) -> Any:
    """The same boosting with a third of the learning rate, not yet fitted."""
    from sklearn.base import clone

    return clone(estimator).set_params(learning_rate=estimator.learning_rate / 3)


def many_scores(data: Part) -> str | None:
    """Why logistic regression cannot learn from these rows, or None."""
    size = len(data) * len(data.classes)
    if size > MOST_SCORES:
        return f"takes at most {MOST_SCORES:,} training rows x classes, got {size:,}; leave it out and compare networks"
    return _large(data)


def many_classes(data: Part) -> str | None:
    """Why trees cannot learn from these rows, or None."""
    if len(data.classes) > MOST_CLASSES:
        return (
            f"takes at most {MOST_CLASSES} classes (a tree for each and iteration), got {len(data.classes)}; "
            "leave it out, or take logistic"
        )
    return _large(data)


def _large(data: Part) -> str | None:
    if not isinstance(data, Examples):
        return "needs all training rows in memory, got rows that are read one by one; leave it out"
    values = int(np.prod(data.input_shape))
    if values > MOST_VALUES:
        return f"takes at most {MOST_VALUES:,} values an example, got {values:,}; leave it out, or pass features"
    return None
