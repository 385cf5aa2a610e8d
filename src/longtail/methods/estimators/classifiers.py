"""scikit-learn's classifiers for given columns, and the training data that they refuse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from longtail.catalogue.method import Misfit
from longtail.data import Examples, Part
from longtail.engine import Recipe
from longtail.engine.default_recipe import SCALED

MOST_VALUES = 1024
"""Most values of an example; with more, a network's features are the better input and a fit would take hours."""
MOST_FEATURES = 4096
"""Most features (D,) for logistic regression; those of images in rows and columns are limited as for trees."""
MOST_SCORES = 100_000_000
"""Most training rows x classes for logistic regression, which allocates several such arrays in float64."""
MOST_CLASSES = 200
"""Most classes for trees: every iteration grows a tree for each."""
BINS = 255
"""Most codes of a column of categories for trees; with more, the codes count as numbers."""
MOST_CELLS = 200_000_000
"""Most numbers of all training rows with their codes spread into columns, 1.6 GB."""


class Columns(NamedTuple):
    """The columns of the inputs: numbers first, then codes, with the number of codes of each column."""

    numeric: int
    categories: Sequence[int]
    scaled: bool

    @property
    def codes(self) -> list[int]:
        """The positions of the columns of codes."""
        return list(range(self.numeric, self.numeric + len(self.categories)))


def columns_of(recipe: Recipe, data: Part) -> Columns:
    """Return the columns as the recipe's network has them; without a network for tables every value is a number."""
    categories = recipe.model_args.get("categories", ()) if recipe.model == "tabular" else ()
    total = int(np.prod(data.input_shape))
    scaled = bool(categories) or recipe.standardize == SCALED
    return Columns(total - len(categories), categories, scaled)


def logistic(columns: Columns, seed: int, targets: NDArray[np.int64], *, C: float) -> Any:
    """Build logistic regression on scaled numbers and one-hot codes, unfitted."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = LogisticRegression(C=C, max_iter=1000, random_state=seed)
    return make_pipeline(scaled_and_one_hot(columns), model)


def scaled_and_one_hot(columns: Columns) -> Any:
    """Return the unfitted first step of classifiers of numbers: scaled numbers, then indicators of codes.

    A code that no training row has is no category: all its columns are 0.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    if not columns.scaled:  # without scaling, no column has codes
        return StandardScaler()
    numbers = ("numbers", "passthrough", list(range(columns.numeric)))
    codes = ("codes", OneHotEncoder(handle_unknown="ignore"), columns.codes)
    return ColumnTransformer([part for part in (numbers, codes) if part[2]])


def dense_one_hot(columns: Columns, rows: int, *, others: bool) -> Any:
    """Return an unfitted first step with indicators of codes that is not sparse; None where no column has few codes.

    Columns of more than 255 codes stay numbers where `others`, and are left out otherwise. A code that no training row
    has is no category: all its columns are 0.

    Raises:
        ValueError: the result would have no columns, or more than 200,000,000 numbers.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OneHotEncoder

    few = {code: size for code, size in zip(columns.codes, columns.categories, strict=True) if size <= BINS}
    many = [code for code in columns.codes if code not in few]
    if not few and (others or not many):
        return None
    if not few and columns.numeric == 0:
        raise ValueError(f"no column has numbers or at most {BINS} codes; take trees")
    width = columns.numeric + sum(min(size, rows) for size in few.values())
    if rows * width > MOST_CELLS:
        raise ValueError(
            f"training rows with their codes in columns must be at most {MOST_CELLS:,} numbers, "
            f"got {rows:,} x {width:,}; leave out columns of categories, or take trees"
        )
    numbers = ("numbers", "passthrough", [*range(columns.numeric), *(many if others else [])])
    codes = ("codes", OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(few))
    return ColumnTransformer([part for part in (numbers, codes) if part[2]], sparse_threshold=0)


def boosting(columns: Columns, seed: int, targets: NDArray[np.int64], **knobs: Any) -> Any:
    """Build gradient boosting with the columns of categories named, unfitted."""
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
    """Return the same boosting with a third of the learning rate, unfitted."""
    from sklearn.base import clone

    return clone(estimator).set_params(learning_rate=estimator.learning_rate / 3)


def logistic_misfit(data: Part) -> str | None:
    """Return why logistic regression cannot learn from these rows, or None."""
    size = len(data) * len(data.classes)
    if size > MOST_SCORES:
        return f"takes at most {MOST_SCORES:,} training rows x classes, got {size:,}; leave it out and compare networks"
    return size_misfit(data, MOST_FEATURES)


def boosting_misfit(data: Part) -> str | None:
    """Return why trees cannot learn from these rows, or None."""
    if len(data.classes) > MOST_CLASSES:
        return (
            f"takes at most {MOST_CLASSES} classes (a tree for each and iteration), got {len(data.classes)}; "
            "leave it out, or take logistic"
        )
    return size_misfit(data)


def without_weights(misfit: Misfit) -> Misfit:
    """Return what also refuses rows with sample weights, for classifiers that cannot take them."""

    def refuse(data: Part) -> str | None:
        if getattr(data, "sample_weight", None) is not None:
            return "cannot weigh rows, got sample weights; leave out the weights, or take logistic, trees or forest"
        return misfit(data)

    return refuse


def size_misfit(data: Part, features: int = MOST_VALUES) -> str | None:
    """Return why rows are too many to be fitted at once or too wide, or None."""
    if not isinstance(data, Examples):
        return "needs all training rows in memory, got rows that are read one by one; leave it out"
    values = int(np.prod(data.input_shape))
    most = features if len(data.input_shape) == 1 else MOST_VALUES
    if values > most:
        return f"takes at most {most:,} values an example, got {values:,}; leave it out, or pass features"
    return None
