"""Which training labels are wrong, by group, and how many of these each method repeats at the end of its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from longtail.comparison.seed_statistics import mean, numbers, std
from longtail.data import Splits
from longtail.data.true_labels import known_labels

GROUPS = ("many", "medium", "few")
Members = Mapping[str, Any]
"""Name of a group -> its classes, or None."""


def realised(splits: Splits, members: Members) -> dict[str, Any] | None:
    """Return the wrong labels of the training part, by group of the true class and of the label that was given.

    None where the true labels are unknown, or none is wrong.

    Args:
        splits: the data; of several folds, those of the first.
        members: the classes of each group.
    """
    labels = known_labels(splits)
    if labels is None or not bool(labels.wrong.any()):
        return None
    given, truth, wrong = (values.numpy() for values in labels)
    size = len(splits.classes)

    def shares(classes: np.ndarray) -> dict[str, float | None]:
        return _shares(np.bincount(classes[wrong], minlength=size), np.bincount(classes, minlength=size), members)

    return {
        "rows": len(given),
        "wrong": int(wrong.sum()),
        "by_true_class": shares(truth),
        "by_given_label": shares(given),
    }


def memorised(found: Sequence[Mapping[str, Any] | None], members: Members) -> dict[str, Any]:
    """Return the entry of a method's row: shares of the wrong labels, over seeds; {} where none is wrong.

    `fitted`: for which the model predicts the label that was given, of all classes and by group of the true class;
    `recovered`: for which it predicts the true class.

    Args:
        found: the entry `memorisation` of each run (`runs.memorisation`), None where it has none.
        members: the classes of each group.
    """
    shares: dict[str, list[float | None]] = {}
    for one in found:
        if one is None:
            return {}
        for kind in ("fitted", "recovered"):
            for name, share in _shares(one[kind], one["wrong"], members).items():
                shares.setdefault(kind if name == "all" else f"{kind}_{name}", []).append(share)
    table = {name: numbers(values) for name, values in shares.items()}
    statistics = {
        "mean": {name: mean(values) for name, values in table.items()},
        "std": {name: std(values) for name, values in table.items()},
    }
    return {"wrong_labels": statistics} if shares else {}


def _shares(part: Any, whole: Any, members: Members) -> dict[str, float | None]:
    """Return the share over all classes, and over those of each group; None where a group has no rows."""
    groups: dict[str, Any] = {"all": range(len(whole)), **{name: members.get(name) for name in GROUPS}}
    return {name: None if classes is None else _share(part, whole, classes) for name, classes in groups.items()}


def _share(part: Any, whole: Any, classes: Any) -> float | None:
    chosen = np.asarray(list(classes), dtype=np.int64)
    total = float(np.asarray(whole, dtype=np.float64)[chosen].sum())
    return float(np.asarray(part, dtype=np.float64)[chosen].sum()) / total if total else None
