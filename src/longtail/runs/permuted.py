"""A finished run on its own test rows again, with the cells of one column moved between the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longtail.data import Splits
from longtail.data.prepare.input_columns import input_columns
from longtail.data.rows import Examples
from longtail.data.split.folds import Folds
from longtail.metrics.rates import Floats
from longtail.runs.cross_validation import fold_folder
from longtail.runs.predictor import Predictor
from longtail.runs.run import Run
from longtail.runs.scored import ScoredRun, with_scores

Ints = NDArray[np.int64]
TOGETHER = 4096
"""Rows that are evaluated at once."""


@dataclass(frozen=True)
class TestedModel:
    """A model and the rows that tested it.

    Args:
        predictor: the model.
        inputs: (M, D) of its test rows.
        place: (M,) of these rows among those of the run.
        members: name of a column -> its inputs, the column 0/1 for missing cells with it.
    """

    __test__ = False  # no test of pytest's
    predictor: Predictor
    inputs: Tensor
    place: Ints
    members: Mapping[str, Ints]

    def scores(self, column: str | None = None, donors: Ints | None = None) -> Tensor:
        """Return scores (M, C); each row has the cells of a column from the row that `donors` (M,) names for it."""
        inputs = self.inputs
        if column is not None and donors is not None:
            inputs = inputs.clone()
            inputs[:, self.members[column]] = self.inputs[donors][:, self.members[column]]
        return self.predictor.scores(inputs, TOGETHER).cpu()


@dataclass(frozen=True)
class PermutedRun:
    """A run and its models: one, or one of each fold, each tested on its own rows."""

    run: Run
    scored: ScoredRun
    models: Sequence[TestedModel]

    @cached_property
    def _arrays(self) -> dict[str, Tensor]:
        return self.run.predictions()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that some model reads."""
        return tuple(dict.fromkeys(name for model in self.models for name in model.members))

    def base(self) -> list[Tensor]:
        """Return the scores of each model as it is."""
        return [model.scores() for model in self.models]

    def with_column(self, base: Sequence[Tensor], column: str, generator: np.random.Generator) -> ScoredRun:
        """Return the run where the cells of a column were moved between the test rows of each model.

        The rows of a model are permuted at random. With weights, which count as copies, each row draws its donor with
        a probability proportional to the donor's weight.
        """
        made, weight = [], self.scored.test.weight
        for model, scores in zip(self.models, base, strict=True):
            donors = drawn_donors(None if weight is None else weight[model.place], len(model.inputs), generator)
            made.append(model.scores(column, donors) if column in model.members else scores)
        return self.rescored(made)

    def rescored(self, scores: Sequence[Tensor]) -> ScoredRun:
        """Return the run with these scores of its models, each followed by its own post-hoc rule."""
        size = (len(self.scored.test.targets), len(self.scored.classes))
        plain, adjusted = torch.empty(size), torch.empty(size)
        for model, one in zip(self.models, scores, strict=True):
            place = torch.from_numpy(model.place)
            plain[place], adjusted[place] = one.float(), model.predictor.adjusted(one).float()
        return replace(self.scored, test=with_scores(self.run, self._arrays, plain, adjusted))


def drawn_donors(weight: Floats | None, size: int, generator: np.random.Generator) -> Ints:
    """Return (M,) the row from which each row gets its cells."""
    if weight is None:
        return generator.permutation(size)
    return generator.choice(size, size, p=weight / weight.sum())


def permuted_run(run: Run, scored: ScoredRun, data: Splits | Folds) -> PermutedRun:
    """Load the models of a finished run with their test rows.

    Raises:
        ValueError: data that are no table in memory, or a run whose model was not saved or cannot be loaded.
    """
    if isinstance(data, Splits):
        rows = np.arange(len(data.test))
        return PermutedRun(run, scored, [_tested(Predictor.load(run.folder, run.network), data, rows)])
    seed = run.config["seed"]
    partition = data.partition(seed)
    tested = np.flatnonzero(partition >= 0)
    models = []
    for j in range(data.k):
        place = np.searchsorted(tested, np.flatnonzero(partition == j))
        predictor = Predictor.load(fold_folder(run.folder, j), run.network)
        models.append(_tested(predictor, data.splits(seed, j), place))
    return PermutedRun(run, scored, models)


def _tested(predictor: Predictor, splits: Splits, place: Ints) -> TestedModel:
    columns = input_columns(predictor.preparation)
    if columns is None or not isinstance(splits.test, Examples):
        raise ValueError("importance is of the columns of a table, got other data; leave it out")
    names, owners = columns
    members = {name: np.flatnonzero(owners == p) for p, name in enumerate(names)}
    return TestedModel(predictor, splits.test.inputs, place, members)
