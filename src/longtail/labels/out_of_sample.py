"""Train K folds, and keep what they say of every row: its probabilities out of sample, its margins in sample."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from longtail.catalogue.method import Method
from longtail.data import TrainingSet
from longtail.data.split.folds import Folds
from longtail.engine import Recipe, Training, stage_store
from longtail.engine.due_step import Events
from longtail.engine.lanes import device_of
from longtail.engine.side_by_side import finish
from longtail.labels.margins import Margins
from longtail.labels.recorded import margins_in, recorded
from longtail.runs.cross_validation import fold_folder, is_small, of_fold
from longtail.runs.fit import Fit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Evidence:
    """What K trainings say of N rows; each trained on all rows but those of its fold.

    Args:
        probabilities: (N, C) of the training that did not see the row; NaN for a row that every training saw.
        fold: (N,) in [0, K), -1 for such rows.
        margins: (N, K), the mean margin of the given label (AUM) in each training; NaN where it did not see the row.
            None where the method records no margins.
        negative, measured: (N,) over all trainings: measurements with a negative margin, and all; None as `margins`.
    """

    probabilities: Floats
    fold: Ints
    margins: Floats | None = None
    negative: Ints | None = None
    measured: Ints | None = None

    @property
    def aum(self) -> Floats | None:
        """(N,): the mean margin over all trainings that saw the row; NaN where none has measured it."""
        if self.margins is None:
            return None
        known = np.isfinite(self.margins)
        sums, numbers = np.where(known, self.margins, 0.0).sum(1), known.sum(1)
        return np.where(numbers > 0, sums / np.maximum(numbers, 1), np.nan)


def out_of_sample(
    method: Method, folds: Folds, *, folder: Path, recipe: Recipe, seed: int = 0, device: str = "cpu"
) -> Evidence:
    """Train the method once per fold; the same call in the same folder goes on where it was interrupted."""
    evidence: Evidence = finish(
        lambda: _trainings(recorded(method), folds, folder, recipe, seed, device), device_of(device)
    )
    return evidence


def _trainings(
    method: Method, folds: Folds, folder: Path, recipe: Recipe, seed: int, device: str
) -> Generator[Sequence[Events], None, Evidence]:
    first = folds.splits(seed, 0)
    parts = (first if j == 0 else folds.splits(seed, j) for j in range(folds.k))
    fits = (
        Fit(method, splits, seed=seed, folder=fold_folder(folder, j), recipe=of_fold(recipe, splits), device=device)
        for j, splits in enumerate(parts)
    )
    said: list[tuple[Floats, Margins | None]] = []
    for some in [list(fits)] if is_small(first.train) else ([fit] for fit in fits):
        yield [fit.events for fit in some]
        said += [(_predicted(fit), _margins(fit)) for fit in some]
    return _gathered(folds, seed, said)


def _predicted(fit: Fit) -> Floats:
    """Return the probabilities (M, C) of the rows that this training did not see, under the prior of its rows."""
    probabilities = fit.run.predictor.probabilities(fit.run.predictions()["scores"].to(fit.device))
    return np.asarray(probabilities.double().cpu())


def _margins(fit: Fit) -> Margins | None:
    """Return the records of a finished training, from its first stage that has any, as they were stored."""
    recipe = replace(fit.recipe, precision=fit.config["precision"])
    stages = fit.method.stages(recipe)
    identity = [fit.splits.hash, recipe.to_json()]
    training = Training(stages, TrainingSet.of(fit.splits), seed=fit.seed, identity=identity)
    for index, stage in enumerate(stages):
        stored = stage_store.load(fit.run.folder / "stages", training.stage_hash(index), stage.epochs)
        if stored is not None and (margins := margins_in(stored["learner"])) is not None:
            return margins
    return None


def _gathered(folds: Folds, seed: int, said: list[tuple[Floats, Margins | None]]) -> Evidence:
    fold = folds.partition(seed)
    size, k = len(fold), len(said)
    probabilities = np.full((size, len(folds.classes)), np.nan)
    margins = np.full((size, k), np.nan)
    negative, measured = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    for j, (predicted, records) in enumerate(said):
        probabilities[fold == j] = predicted
        if records is not None:
            seen = fold != j
            margins[seen, j] = records.aum().numpy()
            negative[seen] += records.negative.numpy()
            measured[seen] += records.measured.numpy()
    if all(records is None for _, records in said):
        return Evidence(probabilities, fold)
    return Evidence(probabilities, fold, margins, negative, measured)
