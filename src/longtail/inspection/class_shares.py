"""How a trained model spreads the rows without labels over the classes, beside the class shares of the labels."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.data import Part, Splits
from longtail.data.pool import Pool
from longtail.data.prepare.preparation import Preparation
from longtail.data.read.tables.table import Table
from longtail.posthoc import estimate_prior
from longtail.runs.predictor import Predictor, load

CLEAR = 0.1
"""The total variation distance above which shares count as different, where chance and the model's error allow it."""
CHUNK = 4096
"""Rows that are prepared at once."""
SAMPLES, CHANCE = 200, 0.95
"""Pairs of samples that are drawn, and the quantile of their distances that is called chance."""


def class_shares(model: str | Path | Predictor, splits: Splits, pool: Pool | None = None) -> dict[str, Any]:
    """Return the class shares of the rows without labels by a model, and how far they are from those of the labels.

    `shares`, each (C,) and summing to 1: of the `labels` (training rows); of the rows without labels by
    `mean_probability` and `argmax` under the training prior, by `em` (`posthoc.estimate_prior`, under the prior that
    the model's probabilities refer to), and the `truth` where labels were only hidden, else None. `distances`: total
    variation distance to the labels, sum_k |a_k - b_k| / 2. `by_chance`: below which 95 % of such distances are between
    samples of these sizes with the labels' shares. `tested`: how far EM is from the known shares of the test rows, None
    where the model's training rows were others; the larger distance of these rows as they are and with rare classes in
    the majority (`_reversed`). `verdict`: "differ" where the distance by EM less `tested` is above 0.1 and `by_chance`;
    "agree" where each of the two is at most 0.1; else, and where `tested` is None, "unclear".

    Args:
        model: the folder of a run, or its predictor.
        splits: the parts of the data.
        pool: all rows as they were read; needed for a table of which the model was trained on other rows.

    Raises:
        ValueError: no rows without labels, a model of other classes or of data of another kind, or no classifier.
    """
    model = model if isinstance(model, Predictor) else load(model)
    if splits.unlabeled is None:
        raise ValueError(
            "model (--model) predicts rows without labels, got data that have none; name them with unlabeled "
            "(--unlabeled), or hide labels with labeled (--labeled)"
        )
    order = _order(model.classes, splits.classes)
    alike = _same(model.preparation, splits.preparation)
    rows: Part | Table = splits.unlabeled
    if not alike and pool is not None and pool.unlabeled is not None:
        rows = pool.unlabeled.rows
    scores = _scores(model, rows, splits.preparation, alike)
    shares, converged = _predicted(model, scores, order)
    labels = _shares(splits.class_counts)
    distances = {name: _distance(share, labels) for name, share in shares.items()}
    truth = None if splits.truth is None else _shares(_counted(splits.truth[len(splits.train) :], len(labels)))
    tested = None
    if alike and torch.equal(model.class_counts.cpu()[order].double(), splits.class_counts.cpu().double()):
        targets, test_scores = splits.test.targets.cpu(), _scores(model, splits.test, splits.preparation, alike)
        tested = max(
            _distance(
                _predicted(model, test_scores[some], order)[0]["em"], _shares(_counted(targets[some], len(labels)))
            )
            for some in (torch.arange(len(targets)), _reversed(targets, labels))
        )
    chance = _by_chance(labels, len(splits.train), len(scores))
    return {
        "rows": len(scores),
        "shares": {
            "labels": labels.tolist(),
            **{name: share.tolist() for name, share in shares.items()},
            "truth": None if truth is None else truth.tolist(),
        },
        "distances": {**distances, "truth": None if truth is None else _distance(truth, labels)},
        "by_chance": chance,
        "tested": tested,
        "converged": converged,
        "verdict": _verdict(distances["em"], tested, chance),
        "notes": _unfamiliar(model.preparation, pool),
    }


def _order(known: tuple[str, ...], classes: tuple[str, ...]) -> list[int]:
    """Return the place of each class among those of the model."""
    if set(known) != set(classes):
        missing, more = (sorted(set(a) - set(b)) for a, b in ((classes, known), (known, classes)))
        odd = f"no class {missing[0]!r}" if missing else f"class {more[0]!r}, which the data lack"
        raise ValueError(f"model (--model) must have the classes of the data, got {odd}; train it on these data")
    return [known.index(name) for name in classes]


def _same(preparation: Preparation | None, other: Preparation | None) -> bool:
    """Whether both make the same inputs of the same rows."""
    if preparation is None or other is None:
        return preparation is other
    return preparation.to_json() == other.to_json() and preparation.blobs() == other.blobs()


def _scores(model: Predictor, rows: Part | Table, prepared_by: Preparation | None, alike: bool) -> Tensor:
    """Return the scores (N, C) of rows as they were read, or as the model's own preparation has prepared them."""
    own, theirs = _kind(model.preparation), _kind(prepared_by)
    if own != theirs and "a table" in (own, theirs):
        raise ValueError(f"model (--model) was trained on {own}, got {theirs}; pass a model of such data")
    size = getattr(model.preparation, "size", None)
    if (given := getattr(prepared_by, "size", size)) != size:
        raise ValueError(
            f"model (--model) was trained on images of size {size}, got {given}; pass size={size} (--size)"
        )
    if own == "a table" and not alike and not isinstance(rows, Table):
        raise ValueError(
            "model (--model) must be trained on the training rows of this table, since rows whose labels were hidden "
            "are prepared by these, got a model of other rows; train it with the same options"
        )
    try:
        scores = torch.cat([model.scores(inputs) for inputs in _inputs(model, rows, alike)])
    except (ValueError, TypeError) as error:
        raise ValueError(f"model (--model) does not fit the rows without labels: {error}") from None
    if scores.shape[1] != len(model.classes):
        raise ValueError(
            f"model (--model) must have a classifier, got an encoder with {scores.shape[1]} outputs for "
            f"{len(model.classes)} classes; pass the run of a method that classifies"
        )
    return scores.cpu()


def _inputs(model: Predictor, rows: Part | Table, alike: bool) -> Iterator[Tensor]:
    if isinstance(rows, Table):
        yield model.prepared(rows.frame)
        return
    ready = alike and _kind(model.preparation) == "a table"
    for inputs in rows.chunks(CHUNK):
        yield inputs if ready else model.prepared(inputs)


def _kind(preparation: Preparation | None) -> str:
    kind = "tensors" if preparation is None else preparation.kind
    return "a table" if kind == "table" else kind


def _predicted(model: Predictor, scores: Tensor, order: list[int]) -> tuple[dict[str, Tensor], bool]:
    """Return the class shares by each reading of the scores, and whether expectation maximisation converged."""
    probabilities = model.probabilities(scores)[:, order]
    logs, prior = model.log_probabilities(scores)[:, order], model.prior.cpu()[order]
    with warnings.catch_warnings():  # the document says so
        warnings.simplefilter("ignore", RuntimeWarning)
        estimate = estimate_prior(logs, prior / prior.sum(), tolerance=1e-6, max_iterations=1000)
    shares = {
        "mean_probability": probabilities.mean(0),
        "argmax": _shares(_counted(probabilities.argmax(1), len(order))),
        "em": estimate.prior,
    }
    return shares, estimate.converged


def _shares(counts: Tensor) -> Tensor:
    return counts.double().cpu() / counts.double().cpu().sum()


def _counted(targets: Tensor, size: int) -> Tensor:
    return torch.bincount(targets.cpu(), minlength=size)


def _distance(a: Tensor, b: Tensor) -> float:
    """Return the total variation distance of two distributions."""
    return float((a - b).abs().sum() / 2)


def _reversed(targets: Tensor, labels: Tensor) -> Tensor:
    """Return as many test rows, some repeatedly, whose class shares rise from the most to the least frequent label.

    Test rows often have the shares of the labels, which a model that cannot tell the classes apart gives of any rows.
    """
    ranks = labels.argsort(descending=True).argsort() + 1
    known = torch.bincount(targets, minlength=len(labels)) > 0
    sizes = len(targets) * ranks * known / (ranks * known).sum()
    rows = [(torch.nonzero(targets == j).flatten(), math.ceil(size)) for j, size in enumerate(sizes.tolist()) if size]
    return torch.cat([own[torch.arange(size) % len(own)] for own, size in rows])


def _verdict(distance: float, tested: float | None, chance: float) -> str:
    if tested is None:
        return "unclear"
    if max(distance, tested) <= CLEAR:
        return "agree"
    return "differ" if distance - tested > max(CLEAR, chance) else "unclear"


def _by_chance(shares: Tensor, labelled: int, without: int) -> float:
    draw, p = np.random.default_rng(0), shares.numpy()
    a, b = (draw.multinomial(size, p, SAMPLES) / size for size in (labelled, without))
    return float(np.quantile(np.abs(a - b).sum(1) / 2, CHANCE))


def _unfamiliar(preparation: Preparation | None, pool: Pool | None) -> list[str]:
    """Return the notes of a table's preparation on rows without labels."""
    if pool is None or pool.unlabeled is None or not isinstance(pool.unlabeled.rows, Table):
        return []
    return list(getattr(preparation, "unfamiliar", lambda rows: ())(pool.unlabeled.rows.frame))
