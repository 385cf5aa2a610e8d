"""Deferred re-balancing of any base: class weights or draws that begin late in its training."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from longtail import sampling
from longtail.catalogue.compose import PLAIN, BaseMethod, corrected
from longtail.catalogue.implied import times, weighted
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.data import Part, TrainingSet
from longtail.data.rows import BatchedRows
from longtail.engine import Built, Recipe
from longtail.facts.knobs import Choice, Range, UnitStart
from longtail.facts.schedules import switch
from longtail.learners import SupervisedLearner
from longtail.methods.supervised.deferred import START, ClassWeight
from longtail.methods.supervised.resampling import PER_VISIT, SAMPLERS, drawn_by, two_visits

SUCH = ("ce", "label-smoothing")
WEIGHTS = ("shares", "criterion")
"""What class weights fill: a criterion may ignore those of the loss."""
Weighed = Annotated[Method, BaseMethod(words=("ce", "ldam"), slots=WEIGHTS, such=SUCH)]
Drawn = Annotated[Method, BaseMethod(words=("ce", "ldam"), slots=("shares",), such=SUCH)]
Sampler = Annotated[str, Choice(tuple(SAMPLERS))]
Rows = Annotated[int, Range(0, integer=True)]


def drw(*, base: Weighed = PLAIN, at: UnitStart = START, class_weight: ClassWeight = "effective") -> Method:
    """Deferred re-weighting of any base: its loss gets class weights from progress `at` on.

    loss = w_y (that of base), w = 1 until progress `at`, then class weights that sum to C; divided as the base divides.

    Cao et al. 2019, algorithm 1. `drw(base="ce")` is ce-drw, `drw(base="ldam")` is ldam-drw; so it makes the deferred
    twin of every loss, such as `drw(base="label-smoothing")` and `drw(base="seql")`. at=0 weighs from the start.

    Works: As ce-drw: the features are learnt from all rows alike, and the classifier is re-balanced by small steps.

    Breaks: A base that re-balances its classes already, by weights, draws or an adjusted loss, is refused: twice is too
    much. Weights that sum to C have a mean below 1 over the rows, so a base that divides by the batch (focal) takes
    smaller steps after `at`, but for batches with rare rows.

    Paper and code: The paper's text has weights 1/n_y in the second part (`class_weight="inverse"`); effective numbers
    are its authors' code and our default. In the Bag of Tricks (Zhang et al. 2021) the deferred rows of label smoothing
    and label-aware smoothing are plain further runs: their code has no rule that changes with the epoch.
    """

    def change(built: Built, data: TrainingSet) -> Built:
        if not isinstance(built.learner, SupervisedLearner):
            raise ValueError(f"base must train by one loss, got {type(built.learner).__name__}; choose another base")
        loss = built.learner.loss.reweighed(class_weight, data.labeled.class_counts, switch(at, 0.0, 1.0))
        return built._replace(learner=built.learner.varied(loss=loss))

    reference = cited("cao2019learning")
    return corrected(base, WEIGHTS, change, reference=reference, prior=times(base.prior, weighted(class_weight, at)))


def drs(*, base: Drawn = PLAIN, sampler: Sampler = "balanced", at: UnitStart = START, at_least: Rows = 0) -> Method:
    """Deferred re-sampling of any base: each example once an epoch until progress `at`, then draws by a sampler.

    P(class j) = n_j / N until progress `at`, then that of the sampler: balanced 1 / C; sqrt proportional to sqrt(n_j);
    reversed to 1 / n_j; effective as cb-rs(sampler="effective"); progressive (1 - p) n_j / N + p / C at progress p of
    the whole training; class-aware and under as class-aware-rs and under-rs, N rows an epoch.

    Cao et al. 2019, section 4 and appendix. `drs(base="ce")` is ce-drs. at_least=k: every batch has at least k
    rows of every class, exchanged for rows that the batch can spare; at=0 re-samples from the start.

    Works: As ce-drs: every example has the same weight, and the features are learnt before rare rows are repeated.

    Breaks: A base that re-balances its classes already is refused. at_least needs batches of k C rows (smaller ones are
    refused before training) and repeats rare rows even before `at`.

    Paper and code: Their code builds the sampler and never uses it; this is the paper's text. at_least is ours.
    """
    make, shares = SAMPLERS[sampler]

    def check(recipe: Recipe, rows: Part) -> str | None:
        if not at_least:
            return two_visits(PER_VISIT, "another sampler")(recipe, rows) if sampler == "class-aware" else None
        try:
            sampling.EveryBatch(
                sampling.Shuffle(len(rows)), rows.targets, batch_size=recipe.batch_size, at_least=at_least
            )
        except ValueError as error:
            return str(error)
        return None

    def change(built: Built, data: TrainingSet) -> Built:
        rows = built.data
        if not isinstance(rows, BatchedRows) or rows.draw is not None:
            raise ValueError("base must visit each row once an epoch, got one with a sampler; choose another base")
        draw: sampling.RowSampler = sampling.Deferred(make(rows.targets), at=at)
        if at_least:
            draw = sampling.EveryBatch(draw, rows.targets, batch_size=rows.batch_size, at_least=at_least)
        return built._replace(data=replace(rows, draw=draw))

    prior = base.prior if at >= 1 else times(base.prior, shares)
    return corrected(base, "shares", change, check=check, reference=cited("cao2019learning"), prior=prior)


def sqrt_drs(*, at: UnitStart = START) -> Method:
    """Square-root re-sampling, deferred: each example once an epoch until progress `at`, then sqrt-rs.

    P(class j) = n_j / N until progress `at`, then sqrt(n_j) / sum_k sqrt(n_k).

    It is `drs(sampler="sqrt")`. Zhang et al. 2021, table of deferred re-sampling.

    Works: As ce-drs, with less repetition of the rarest rows.

    Breaks: Half of the imbalance stays, on a logarithmic scale. In the Bag of Tricks (CIFAR-100 at ratio 100) its error
    is 59.6 %, that of balanced deferred draws 59.4 %.

    Paper and code: They agree; the deferral begins with epoch 161 of 200 there.
    """
    return _over_ce("sqrt", at)


def progressive_drs(*, at: UnitStart = START) -> Method:
    """Progressively balanced re-sampling, deferred: each example once an epoch until `at`, then progressive-rs.

    P(class j) = n_j / N until progress `at`, then (1 - p) n_j / N + p / C at progress p.

    It is `drs(sampler="progressive")`. Zhang et al. 2021, table of deferred re-sampling.

    Works: As ce-drs, if the draws should not be balanced at once: with at = 0.8 they begin at four fifths of the way.

    Breaks: Beyond its start it is nearly ce-drs. In the Bag of Tricks (CIFAR-10 at ratio 100) its error is 26.2 %, that
    of balanced deferred draws 24.9 %.

    Paper and code: Progress is that of the whole training; we have not read from where theirs counts.
    """
    return _over_ce("progressive", at)


def _over_ce(sampler: str, at: float) -> Method:
    make, shares = SAMPLERS[sampler]
    prior = shares if at < 1 else None
    return drawn_by(lambda targets: sampling.Deferred(make(targets), at=at), prior, cited("zhang2021bag"))
