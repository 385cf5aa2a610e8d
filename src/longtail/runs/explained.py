"""Which columns moved the score of a predicted class, and by how much: for logistic regression and boosted trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from longtail.data.prepare import new_rows
from longtail.data.prepare.input_columns import input_columns
from longtail.facts.messages import quoted
from longtail.learners.contributions import Contributions, contributions_of
from longtail.learners.fitted import FittedEstimator, limited_threads, matrix

if TYPE_CHECKING:
    from longtail.runs.predictions import Predictions
    from longtail.runs.predictor import Predictor

TOP = 3
"""Columns that a prediction names, unless asked for another number."""
REFUSAL = (
    "contributions are for logistic regression and boosted trees (logistic*, trees*), got another kind of model; "
    "longtail compare --importance measures the columns of any"
)
TWO = "the score of a class is its log-odds against the other"
MANY = "the scores of the classes are those whose softmax the probabilities are"


@dataclass(frozen=True)
class Explained:
    """Contributions of P columns to the scores of one class for each of N rows.

    The score is the classifier's own: of two classes the log-odds of the class, else the number whose softmax over
    classes is the probability; before any post-hoc rule, calibration, decision or target prior. For row i of class j

        scores_i = base_j + sum_d contributions_id

    Args:
        names: the P columns, as the user calls them.
        contributions: (N, P) float64.
        base: (C,) float64, the mean score of each class over the training rows (of trees, over those that they were
            grown on). NaN for a class without training rows.
        scores: (N,) float64, of the class of each row.
        of: the class of each row.
        classes: the C names.
        rows: the N rows as they were given, for the cells in `columns`.
    """

    names: tuple[str, ...]
    contributions: Tensor
    base: Tensor
    scores: Tensor
    of: tuple[str, ...]
    classes: tuple[str, ...]
    rows: Any = None

    def __len__(self) -> int:
        return len(self.of)

    def columns(self, top: int = TOP) -> dict[str, list[Any]]:
        """Return score, mean score, and name, value and contribution of the columns that moved each row most."""
        place = {name: j for j, name in enumerate(self.classes)}
        made: dict[str, list[Any]] = {
            "score": self.scores.tolist(), "mean score": [float(self.base[place[name]]) for name in self.of]
        }  # fmt: skip
        order = self.contributions.abs().argsort(dim=1, descending=True, stable=True)[:, : min(top, len(self.names))]
        for k, places in enumerate(order.T.tolist(), 1):
            made[f"feature {k}"] = [self.names[d] for d in places]
            made[f"value {k}"] = [self._cell(i, d) for i, d in enumerate(places)]
            made[f"contribution {k}"] = [float(self.contributions[i, d]) for i, d in enumerate(places)]
        return made

    def frame(self, top: int = TOP) -> Any:
        """Return that as a pandas frame, after the class of each row."""
        import pandas

        return pandas.DataFrame({"class": list(self.of), **self.columns(top)})

    def _cell(self, row: int, column: int) -> str | None:
        """Return a cell as it was given, None where it is missing."""
        frame = getattr(self.rows, "frame", self.rows)
        if hasattr(frame, "iloc"):
            names = [str(name) for name in frame.columns]
            name = self.names[column]
            value = frame.iloc[row, names.index(name) if name in names else column]
        else:
            value = float(frame[row][column])
        return None if value is None or value != value or value == "" else str(value)


def contributions_by(predictor: Predictor) -> tuple[tuple[str, ...], Contributions, FittedEstimator]:
    """Return the columns of a model, what gives their contributions, and its network.

    Raises:
        ValueError: a model of another kind, of images, or one that lacks what is needed.
    """
    network = predictor.network
    if not isinstance(network, FittedEstimator) or network.estimator is None:
        raise ValueError(REFUSAL)
    columns = input_columns(predictor.preparation)
    if columns is None:
        raise ValueError("contributions are of columns, and this model was trained on images or bare tensors")
    found = contributions_of(network.estimator, columns[1], len(columns[0]))
    if found is None:
        raise ValueError(REFUSAL)
    return columns[0], found, network


def explain(predictor: Predictor, data: Any, of: str | Sequence[str] | None = None) -> Explained:
    """Return what moved the scores of raw rows.

    Args:
        predictor: the model.
        data: raw rows, as `Predictor.predict` takes them.
        of: the class whose score is explained, or one for each row; None takes the predicted ones.

    Raises:
        ValueError, TypeError: a model of another kind, data that do not fit, a class that is none of the model's or had
            no training rows.
    """
    names, contributions, network = contributions_by(predictor)
    classes = predictor.classes
    labels = [of] if isinstance(of, str) else list(of) if of is not None else None
    if unknown := [one for one in labels or () if one not in classes]:
        raise ValueError(
            f"of must name classes of the model, got {quoted(unknown[0])}; it has {', '.join(classes[:8])}"
        )
    rows = new_rows.rows(data, predictor.preparation)
    inputs = new_rows.read(rows, predictor.preparation).inputs
    rows = inputs if isinstance(rows, Path) else rows  # of an array file
    if labels is None:
        decided = predictor.decided(predictor.scores(inputs)).argmax(1).tolist()
        labels = [classes[j] for j in decided]
    labels = labels * len(inputs) if isinstance(of, str) else labels
    if len(labels) != len(inputs):
        raise ValueError(f"of must be one class or one for each of {len(inputs)} rows, got {len(labels)}")
    with limited_threads(1):  # so that numbers do not depend on it, as of predictions
        return _explained(names, contributions, network, matrix(inputs), tuple(labels), classes, rows)


def _explained(
    names: tuple[str, ...], contributions: Contributions, network: FittedEstimator, x: Any, labels: tuple[str, ...],
    classes: tuple[str, ...], rows: Any,
) -> Explained:  # fmt: skip
    known = [int(j) for j in network.estimator.classes_]  # those with training rows, in the order of the scores
    two = len(known) == 2
    every, expected = contributions.scores(x), contributions.expected
    out, scores = np.zeros((len(x), len(names))), np.zeros(len(x))
    base = np.full(len(classes), np.nan)
    for k, j in enumerate(known):
        sign, column = ((-1.0, 1.0)[k], 0) if two else (1.0, k)  # of two classes there is one score, of the second
        base[j] = sign * expected[column]
        mine = np.array([one == classes[j] for one in labels], dtype=bool)
        if mine.any():
            out[mine] = sign * contributions(x[mine], column)
            scores[mine] = sign * every[mine, column]
    if without := [one for one in labels if np.isnan(base[classes.index(one)])]:
        raise ValueError(f"class {quoted(without[0])} had no training rows, so no score of it can be explained")
    tensors = {"contributions": out, "base": base, "scores": scores}
    of_rows = {name: torch.from_numpy(values) for name, values in tensors.items()}
    return Explained(names, of=labels, classes=classes, rows=rows, **of_rows)


def beside(predictions: Predictions, predictor: Predictor, data: Any, top: int = TOP) -> Predictions:
    """Return predictions of these rows with what moved the score of each predicted class, and a note on what it is."""
    of = TWO if len(predictor.classes) == 2 else MANY
    note = (
        f"contributions are to the classifier's own score, before any rule, calibration or prior ({of}), counted from "
        "its mean over the training rows"
    )
    found = explain(predictor, data, predictions.labels)
    return replace(predictions, explained=found, top=top, notes=(*predictions.notes, note))
