"""Cross-entropy corrected by a matrix of label noise, given or estimated by a training before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated

import torch

from longtail import functional, losses
from longtail.catalogue.features import row_probabilities
from longtail.catalogue.method import SELF, SLOTS, MakeStages, Method, one_stage
from longtail.catalogue.one_stage import stage_under
from longtail.catalogue.references import cited
from longtail.data import Part, TrainingSet
from longtail.engine import Built, Recipe, Stage
from longtail.facts.knobs import Choice, Range
from longtail.facts.learner import Learner
from longtail.learners import SupervisedLearner
from longtail.losses.corrected import Corrected
from longtail.methods.supervised import plain


@dataclass(frozen=True)
class MatrixChoice(Choice):
    """A word, or rows of numbers, which the builder checks."""

    def __str__(self) -> str:
        return f"{super().__str__()} or rows of probabilities such as ((0.9, 0.1), (0.2, 0.8))"


ESTIMATED, IDENTITY = "estimated", "identity"
Matrix = Annotated[str | Sequence[Sequence[float]], MatrixChoice((ESTIMATED, IDENTITY), others=(tuple, list))]
Direction = Annotated[str, Choice(("forward", "backward"))]
Percentile = Annotated[float, Range(0, 100, open_low=True)]
LOSSES: dict[str, type[Corrected]] = {
    "forward": losses.ForwardCorrectedLoss,
    "backward": losses.BackwardCorrectedLoss,
}
REFERENCE = "patrini2017making"


def forward(*, matrix: Matrix = ESTIMATED, direction: Direction = "forward", percentile: Percentile = 100.0) -> Method:
    """Loss correction by a transition matrix: the network learns the classes, and the matrix what labels they get.

    loss = -log (T^T p)_y, p = softmax(z), T_ij = P(label j | class i); direction="backward": -sum_j (T^-1)_yj log p_j.

    T is estimated after a first training, which is ce and trained once for both: T_i. = p(. | x_i), x_i the training
    row whose p(label i | x) is the largest, or is at `percentile` of those of all rows. A new network is then trained
    with it. Or T is given, row by row, `forward(matrix=((0.9, 0.1), (0.2, 0.8)))`, and there is one training;
    "identity" is ce. Corrections over it act on the last training alone.

    Patrini et al. 2017, theorems 1 and 2, eq. 12-13.

    Works: Labels that are wrong depending on the class alone, and a T that is known, or classes of which some row is
    recognised beyond doubt. With the true T, the forward loss has the minimiser, and the backward loss the mean, of
    cross-entropy on clean labels.

    Breaks: On a long tail a rare class may be predicted nowhere; its row of T then says that it is mostly labelled as
    another class, and the correction makes that true. A percentile below 100 makes it worse, as the rows of a rare
    class are fewer than what it leaves out. An estimate that is singular is refused when the second training begins, if
    it is to be inverted. The backward loss may be negative and its variance is large.

    Paper and code: The paper takes the 97th percentile for many classes (`percentile=97`) and the largest probability
    for few, our default for all. Our second network begins anew. We have not read their code.
    """
    make = LOSSES[direction]
    if matrix == ESTIMATED:
        slots = SLOTS - {"start"}  # an encoder would be passed to the first training alone
        return Method(_two_stages(make, percentile), cited(REFERENCE), slots=slots)
    if matrix == IDENTITY:
        return Method(one_stage(lambda counts: make(counts, matrix=torch.eye(len(counts)))), cited(REFERENCE))
    given = functional.stochastic_matrix(matrix, invertible=make.INVERTED)  # one that is none is refused now
    stages = one_stage(lambda counts: make(counts, matrix=given))
    return Method(stages, cited(REFERENCE), misfit=_of_other_size(len(given)))


def _two_stages(make: type[Corrected], percentile: float) -> MakeStages:
    """Return the training of ce, and that of a new network with the estimate of T."""

    def build(recipe: Recipe, data: TrainingSet, previous: Learner | None) -> Built:
        assert isinstance(previous, SupervisedLearner)
        rows, before = data.labeled, previous.loss
        if isinstance(before, Corrected):  # a correction trains this stage again: that network is of classes
            matrix = before.matrix
        else:
            matrix = functional.transition_matrix(row_probabilities(previous, rows), percentile=percentile)
        learner = SupervisedLearner(recipe.network(rows), make(rows.class_counts, matrix=matrix))
        return Built(learner, rows.drawn(recipe.batch_size))

    def stages(recipe: Recipe) -> Sequence[Stage]:
        first = [replace(stage, preparatory=True) for stage in plain.PLAIN(recipe)]
        return [*first, stage_under(recipe, "corrected", SELF, partial(build, recipe))]

    return stages


def _of_other_size(size: int) -> Callable[[Part], str | None]:
    def why(rows: Part) -> str | None:
        classes = len(rows.classes)
        if size == classes:
            return None
        return f"needs {classes} rows in matrix, one per class, got {size}; give a matrix of these classes"

    return why
