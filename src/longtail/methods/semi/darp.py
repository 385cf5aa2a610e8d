"""DARP over any semi-supervised host: pseudo-labels whose class totals are right."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch
from torch import Tensor

from longtail.catalogue.compose import BaseMethod, corrected
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.catalogue.tasks import SEMI_SUPERVISED
from longtail.data import Part, TrainingSet
from longtail.engine import Built, Recipe
from longtail.facts.counts import priors
from longtail.facts.knobs import Choice, Length, Numbers, Range, UnitStart
from longtail.functional.distribution_refinery import WEIGHTS
from longtail.methods.semi.class_totals import after_estimate, single_row
from longtail.methods.semi.hosts import FIXMATCH, HOSTS, Count
from longtail.posthoc import estimate_prior
from longtail.targets import DARP

GIVEN = Numbers(Range(0, open_high=True), "one per class, in any scale", "(5000, 100)")
EAGER = "it refines the labels of all rows now and then, by a search of unknown length"


@dataclass(frozen=True)
class Totals(Choice):
    """The totals of the rows without labels: "labels", "em", "confusion", or numbers."""

    words: tuple[str, ...] = ("labels", "em", "confusion")

    def __str__(self) -> str:
        return f'"labels", "em", "confusion" or {GIVEN}'

    def check(self, name: str, value: Any) -> None:
        """Raise ValueError or TypeError naming the knob where the value breaks the rule."""
        if not isinstance(value, tuple | list):
            return super().check(name, value)
        GIVEN.check(name, value)
        if not sum(value) > 0:
            raise ValueError(f"{name} must not be all 0, got {value!r}; give the classes that occur a number")
        if sum(value) == math.inf:
            raise ValueError(f"{name} must have a finite sum, got {value!r}; any scale will do, take smaller numbers")
        return None


Base = Annotated[Method, BaseMethod(HOSTS, slots=("targets",), task=SEMI_SUPERVISED, such=HOSTS[:2])]
Keep = Annotated[float, Range(0, open_low=True)]
Weights = Annotated[str, Choice(WEIGHTS)]
ClassTotals = Annotated[str | tuple[float, ...], Totals()]
Share = Annotated[float, Length(0, 1, open_low=True)]


def darp(
    *,
    base: Base = FIXMATCH,
    keep: Keep = 2.0,
    weights: Weights = "entropy",
    period: Count = 10,
    start: UnitStart = 0.4,
    totals: ClassTotals = "labels",
    withheld: Count = 10,
    estimation: Share = 0.16,
) -> Method:
    """DARP: the pseudo-labels of all rows without labels are refined until their class totals are the expected ones.

    loss = that of `base`, taught y in place of its guess;
    y = argmin sum_m w_m KL(y_m || A_m) with rows that sum to 1 and columns to M_k, w_m = 1 / H(A_m)

    A (M, K) are the latest soft labels that `base` guessed for each of the M rows, of each class the keep M_k most
    likely ones alone ("noise removal"; inf keeps all), scaled to the class totals M_k. From the share `start` of the
    training on, they are refined every `period` steps, and y takes the place of the guess: in FixMatch it decides the
    class and whether the row counts. start=1 is `base`; another `start` that no epoch reaches is refused. The table
    notes the share of rows whose class it has changed.

    totals="labels" are those of the labelled rows, without any that CReST has added, scaled to M; numbers, one per
    class, those that are known; "em" are estimated from the stored labels by expectation maximisation (Saerens et al.
    2002), anew at each refinement.

    totals="confusion" are estimated before: C q = sum over m of p_m, C_kj the mean of p_k over labelled rows of class j
    that were not trained on. A network like that of `base` learns the other labels by cross-entropy, as ce does, for
    the share `estimation` of the epochs, and gives one estimate q after each, by a pass over all rows without labels.
    It is accepted where all q >= 0 and C has a condition number below 100; the totals are the mean of those that are.
    Where none is, they are those of the labels, which the log warns of and the table notes. Of each class min(withheld,
    half) rows are not trained on; a class with one row is refused. This stage is additional: a training makes 1 +
    `estimation` times the steps of other methods. Methods with these arguments share it, CReST's generations too, and
    corrections over darp leave it as it is. The records of a run have its estimates and the totals that were used.

    Kim et al. 2020, algorithm 1; sections 3 and 4. "confusion" is as in their code, the matrix that of Lipton et al.
    2018.

    Works: The class totals of the rows without labels are known, or those of the labelled rows are a good guess, and
    the network ranks the rows of a class well even where it is biased.

    Breaks: Totals that are wrong: rare classes are given rows of others, or frequent ones lose theirs. With "em" that
    happens where the guesses are not calibrated, as those of MixMatch, which are sharpened, are not; with "confusion"
    where the withheld rows are too few for C, or unlike the others of their class: estimates are rejected then, or
    wrong; those that the authors have released are up to 46 times the true total of a class. A refinement costs
    O(M K^2) (`python -m benchmarks.projection`): raise `period` for many rows of many classes.

    Paper and code: The code solves for the multipliers loosely, which leaves classes up to 30 % from their totals where
    these are far from the guesses; here they meet them (relative difference 1e-9). Steps are counted from `start` on,
    in the code from the beginning of each epoch. Their start is at 200 of 500 epochs, period 10, and 100 for CIFAR-100
    and STL-10; their FixMatch has two strong views and the labelled rows among those without labels. A
    reimplementation (USB) reads FixMatch's confidence before the refinement and never applies DARP to the two others.
    The code withholds 10 rows of every class, and estimates in a training of 200 epochs of 200 steps (SGD, rate 0.1,
    divided by 10 at 80 and at 90 %, weight decay 5e-4) beside one of 500 of 500, so `estimation` = 0.16; ours has the
    recipe's optimiser, rate and decay. It divides a column of C by its sum, which is the same up to rounding.
    """

    def change(built: Built, data: TrainingSet) -> Built:
        learner: Any = built.learner
        assert data.unlabeled is not None  # the base has refused such data
        known = isinstance(totals, tuple | list)
        given = torch.tensor(totals, dtype=torch.float64) if known else data.given_counts
        targets = DARP(
            len(data.unlabeled),
            given.double().cpu(),
            estimate=_estimated(built.data.class_counts.double().cpu()) if totals == "em" else None,
            keep=keep,
            weights=weights,
            period=period,
            start=start,
        )
        return built._replace(learner=learner.varied(targets=targets))

    def check(recipe: Recipe, rows: Part) -> str | None:
        if isinstance(totals, tuple | list) and len(totals) != len(rows.classes):
            return f"totals must be one number per class, {len(rows.classes)}, got {len(totals)}; name every class once"
        empty = [name for name, n in zip(rows.classes, rows.class_counts.tolist(), strict=True) if n == 0]
        if empty and isinstance(totals, str):
            return f'totals must be given for data with a class without labelled rows, "{empty[0]}"; pass totals=(...)'
        return single_row(rows) if totals == "confusion" else None

    refined = corrected(base, "targets", change, check=check, eager=EAGER, reference=cited("kim2020distribution"))
    if totals != "confusion":
        return refined
    return replace(refined, stages=after_estimate(refined.stages, withheld, estimation))


def _estimated(counts: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the estimate of class totals from soft labels of a model that is trained on these counts."""

    def totals(stored: Tensor) -> Tensor:
        with warnings.catch_warnings():  # an estimate on the way will do
            warnings.simplefilter("ignore", RuntimeWarning)
            p = stored.double().clamp(min=1e-12)
            p = p / p.sum(1, keepdim=True)
            found = estimate_prior(p, priors(counts), probabilities=True, tolerance=1e-6, max_iterations=500)
        prior: Tensor = found.prior
        return prior * len(stored)

    return totals
