"""SMOTE with the neighbours that each class has: imbalanced-learn's samplers, a class at a time where it must be."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from longtail.facts.imbalanced_learn import imbalanced_learn
from longtail.facts.resampled_counts import raised

log = logging.getLogger(__name__)
KINDS = ("smote", "borderline-1", "borderline-2")
Resampled = tuple[NDArray[np.float64], NDArray[Any]]


class SmallClassSMOTE(BaseEstimator):  # type: ignore[misc]
    """SMOTE or borderline SMOTE by imbalanced-learn, for classes of any size but one row.

    x_new = x + u (x' - x), u ~ U(0, 1), x' one of the k nearest rows of the class of x; added after the given rows
    until class j has max(n_j, floor(ratio n_max)). It is imbalanced-learn's `SMOTE`, `SMOTENC` where some columns are
    codes, `SMOTEN` where all are, or `BorderlineSMOTE`, with the same seed, where all raised classes have more than k
    rows. In that package a smaller one is an error; here its rows have n_j - 1 neighbours. A class that borderline
    SMOTE leaves as it is, since none of its rows is in danger (at least half of its m neighbours of another class, but
    not all), is raised by plain SMOTE, with a warning.

    Args:
        kind: "smote", "borderline-1" or "borderline-2" (in which x' may be of another class, then u ~ U(0, 1/2)).
        ratio: rows of the smallest class by those of the largest, afterwards; in (0, 1].
        k_neighbors: k.
        m_neighbors: m, of borderline SMOTE; N - 1 where there are fewer rows.
        codes: positions of the columns that are categories, whose values are never interpolated.
        random_state: a seed, a RandomState or None.

    Attributes:
        raised_: class -> its neighbours k, of classes that were raised.
    """

    def __init__(
        self,
        *,
        kind: str = "smote",
        ratio: float = 1.0,
        k_neighbors: int = 5,
        m_neighbors: int = 10,
        codes: Sequence[int] = (),
        random_state: Any = None,
    ) -> None:
        self.kind = kind
        self.ratio = ratio
        self.k_neighbors = k_neighbors
        self.m_neighbors = m_neighbors
        self.codes = codes
        self.random_state = random_state

    def fit_resample(self, X: ArrayLike, y: ArrayLike) -> Resampled:
        """Return the rows with the new ones after them, and their classes.

        Raises:
            ValueError: an unknown kind, borderline SMOTE with codes, or a class of one row that has to be raised.
            ModuleNotFoundError: without longtail[data].
        """
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}; choose one of these")
        if self.kind != "smote" and len(self.codes):
            raise ValueError(
                f"{self.kind} SMOTE has no form for columns of categories, got {len(self.codes)}; take kind smote"
            )
        rows, labels = np.asarray(X), np.asarray(y)
        classes, counts = np.unique(labels, return_counts=True)
        goals = raised(counts, self.ratio).astype(int)
        wanted: dict[int, dict[Any, int]] = {}  # neighbours -> class -> rows
        for label, count, goal in zip(classes, counts, goals, strict=True):
            if goal > count:
                if count == 1:
                    raise ValueError(
                        f"SMOTE needs two rows of a class to interpolate, got 1 of class {label}; repeat rows instead"
                    )
                wanted.setdefault(min(self.k_neighbors, int(count) - 1), {})[label] = int(goal)
        self.raised_ = {label: k for k, group in wanted.items() for label in np.array(list(group)).tolist()}
        new_rows, new_labels = [rows], [labels]
        for k, group in sorted(wanted.items(), reverse=True):
            for found in self._raised(rows, labels, k, group):
                new_rows.append(found[0][len(rows) :])
                new_labels.append(found[1][len(rows) :])
        return np.concatenate(new_rows), np.concatenate(new_labels)

    def _raised(self, rows: NDArray[Any], labels: NDArray[Any], k: int, group: dict[Any, int]) -> list[Resampled]:
        """Raise classes that have the same number of neighbours."""
        found: Resampled = self._sampler(self.kind, rows, k, group).fit_resample(rows, labels)
        missed = {label: goal for label, goal in group.items() if (found[1] == label).sum() < goal}
        if not missed:
            return [found]
        log.warning(
            "borderline SMOTE adds no rows to %s, of which no row is in danger; SMOTE adds them",
            ", ".join(f"class index {label}" for label in missed),
        )
        return [found, self._sampler("smote", rows, k, missed).fit_resample(rows, labels)]

    def _sampler(self, kind: str, rows: NDArray[Any], k: int, goals: dict[Any, int]) -> Any:
        """Return imbalanced-learn's sampler for these columns."""
        samplers = imbalanced_learn("over_sampling")
        options = {"sampling_strategy": goals, "k_neighbors": k, "random_state": self.random_state}
        if kind != "smote":
            return samplers.BorderlineSMOTE(kind=kind, m_neighbors=min(self.m_neighbors, len(rows) - 1), **options)
        if not len(self.codes):
            return samplers.SMOTE(**options)
        if len(self.codes) == rows.shape[1]:
            return samplers.SMOTEN(**options)
        return samplers.SMOTENC(categorical_features=list(self.codes), **options)
