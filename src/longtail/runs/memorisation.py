"""How many wrong labels a trained model repeats: measured on training rows whose true labels are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from longtail.data import Splits
from longtail.data.true_labels import known_labels
from longtail.runs.predictor import Predictor

ROWS = 1024
"""Rows that are read at once."""
Counts = dict[str, list[int]]


def memorisation(predictor: Predictor, splits: Splits) -> dict[str, Counts]:
    """Return the entry `memorisation` of run.json; {} where the true labels are unknown, or no label is wrong.

    By true class, (C,) each: `rows`, training rows; `wrong`, those with a wrong label; `fitted`, those of the wrong
    ones for which the model predicts the label that was given; `recovered`, for which it predicts the true class. By
    class of the label that was given, (C,): `given`, rows, and `given_wrong`, those of them that are of another class.

    The rows are predicted as new ones are: in evaluation mode, without augmentation, after the post-hoc rule. Training
    gets none of it.
    """
    labels = known_labels(splits)
    if labels is None or not bool(labels.wrong.any()):
        return {}
    given, truth, wrong = labels
    scores = torch.cat([predictor.scores(x) for x in splits.train.chunks(ROWS)])
    predicted = predictor.adjusted(scores).argmax(1).cpu()
    size = len(splits.classes)

    def by(classes: torch.Tensor, chosen: torch.Tensor) -> list[int]:
        return torch.bincount(classes[chosen], minlength=size).tolist()

    every = torch.ones_like(wrong)
    return {
        "memorisation": {
            "rows": by(truth, every),
            "wrong": by(truth, wrong),
            "fitted": by(truth, wrong & (predicted == given)),
            "recovered": by(truth, wrong & (predicted == truth)),
            "given": by(given, every),
            "given_wrong": by(given, wrong),
        }
    }


def summed(results: Sequence[dict[str, Any]]) -> dict[str, Counts]:
    """Return the entry of a run of several folds, each label counted in every fold that trained on it."""
    found = [result["memorisation"] for result in results if "memorisation" in result]
    if not found:
        return {}
    return {"memorisation": {name: [sum(column) for column in zip(*(one[name] for one in found), strict=True)]
                             for name in found[0]}}  # fmt: skip
