"""Many-, medium- and few-shot classes: the three groups in which long-tailed results are reported.

The rule is that of the published evaluations (Liu et al. 2019, "Large-Scale Long-Tailed Recognition in an
Open World"; Kang et al. 2020, "Decoupling Representation and Classifier"), by *training* counts:

    many: n > 100        medium: 20 <= n <= 100        few: n < 20

Where one of the three would be empty, the classes are split into thirds by rank instead (most frequent
first, ties by index); the remainder of the division goes to ``many``. Below three classes there are no groups.
``Groups.rule`` is the rule that was used, and every table names it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from longtail.facts.arrays import checked_counts, warn_of_labels

__all__ = ["BY_COUNT", "BY_RANK", "FEW_BELOW", "MANY_ABOVE", "NO_GROUPS", "Groups", "groups"]

MANY_ABOVE = 100
FEW_BELOW = 20
BY_COUNT = f"many > {MANY_ABOVE}, few < {FEW_BELOW} training examples"
BY_RANK = "thirds of the classes by training count"
NO_GROUPS = "no groups below three classes"


class Groups(NamedTuple):
    """Class indices of each group, ascending, and the rule behind them, in words."""

    many: tuple[int, ...]
    medium: tuple[int, ...]
    few: tuple[int, ...]
    rule: str


def groups(class_counts: Any) -> Groups:
    """Split the classes into many-, medium- and few-shot by their training counts.

    Args:
        class_counts: (C,) training examples per class, any array, list or tensor; zero is allowed. A dict, a Counter
            or a pandas Series is read by its keys, see `longtail.facts.arrays.by_class`.

    Raises:
        ValueError: counts that are not a vector, are empty, negative or not finite.
    """
    counts = checked_counts(class_counts, "class_counts")
    warn_of_labels(counts, "class_counts")
    if counts.size < 3:
        return Groups((), (), (), NO_GROUPS)
    many, few = counts > MANY_ABOVE, counts < FEW_BELOW
    medium = ~(many | few)
    if many.any() and medium.any() and few.any():
        return _groups([np.flatnonzero(mask) for mask in (many, medium, few)], BY_COUNT)
    by_rank = np.argsort(-counts, kind="stable")
    third = counts.size // 3
    head = counts.size - 2 * third  # the remainder goes to many
    return _groups(np.split(by_rank, [head, head + third]), BY_RANK)


def _groups(parts: list[NDArray[np.int64]], rule: str) -> Groups:
    many, medium, few = (tuple(sorted(part.tolist())) for part in parts)
    return Groups(many, medium, few, rule)
