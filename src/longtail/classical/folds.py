"""Folds for cross-fitted scores that classes of few rows allow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from longtail.facts.knobs import Range


@final
class DealtFolds:
    """Stratified folds for scikit-learn's `cv`, in which every training part has a row of every class.

    The rows of a class are dealt to the folds in turn, in their order; nothing is drawn. A class of fewer rows than
    folds is missing from the test rows of some folds, which `StratifiedKFold` warns of and `CalibratedClassifierCV`
    refuses. The row of a class of a single row is a training row of its own fold, too: no classifier that has not seen
    it knows its class, so what is predicted for it is not cross-fitted.

    Args:
        folds: at least 2; no more are made than the largest class has rows.
    """

    def __init__(self, folds: int = 5) -> None:
        Range(2, integer=True).check("folds", folds)
        self.folds = folds

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return how many folds `split` makes of these labels."""
        if y is None:
            return self.folds
        return int(min(self.folds, np.unique(np.asarray(y), return_counts=True)[1].max()))

    def split(self, X: Any, y: Any, groups: Any = None) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield training and test rows; every row is a test row once."""
        _, classes, counts = np.unique(np.asarray(y), return_inverse=True, return_counts=True)
        rows = np.arange(len(classes))
        turn = np.empty(len(classes), dtype=np.int64)
        turn[np.argsort(classes, kind="stable")] = rows
        folds, alone = self.get_n_splits(y=y), counts[classes] == 1
        for fold in range(folds):
            test = turn % folds == fold
            yield rows[~test | alone], rows[test]
