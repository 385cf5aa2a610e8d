"""Sharpness-aware minimisation that knows class sizes: for rare classes alone, or with an ascent for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor

from longtail.catalogue.compose import PLAIN, BaseMethod, Change, corrected, with_update
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.data import Part, TrainingSet
from longtail.engine import Built, Recipe
from longtail.facts.groups import groups
from longtail.facts.knobs import NonNegative, PositiveFloat, Range
from longtail.facts.types import Update
from longtail.methods.steps.sam import Statistics
from longtail.targets import Given
from longtail.updates import SAM, ByClass, ImbSAM

Base = Annotated[Method, BaseMethod(slots=("update",))]
Count = Annotated[int, Range(0, open_high=True, integer=True)]


def imbsam(
    *,
    base: Base = PLAIN,
    rho: NonNegative = 0.05,
    below: Count = 0,
    weight: PositiveFloat = 1.0,
    norms: bool = True,
    decay: bool = False,
    statistics: Statistics = "first",
) -> Method:
    """ImbSAM: sharpness-aware minimisation of the rare classes' part of the loss, plain descent of the rest.

    loss = L_head(w) + weight L_tail(w + e), e = rho g / (||g|| + 1e-12), g the gradient of L_tail at w; L_head and
    L_tail are what rows of frequent and of rare classes have in the loss of `base`.

    Rare are classes of fewer than `below` training rows; 0 stands for the few-shot group of the comparison: fewer than
    20 where each group has a class, else the last third by size (of two classes the smaller). Without rows of rare
    classes in the batch the step is that of `base`, and so it is, but for rounding, with rho = 0. Passes, batch norms
    and options are those of sam; a stage without classes, such as ssp's, takes plain steps.

    Cost: two forward and three backward passes a step, and two more copies of the parameters.

    Zhou et al. 2023, with rho 0.05 and below = 20 (CIFAR-100 at ratio 100).

    Works: Rare classes are fitted too closely and frequent ones are not: sam's ascent is mostly that of the frequent
    ones.

    Breaks: A batch with one row of a rare class takes e from that row alone. Frequent classes gain nothing: for its
    authors they fall from 77.8 to 75.9 % where few-shot classes rise from 13.5 to 19.4 %.

    Paper and code: By its documentation, below = 20; one version of the code also multiplies L_tail by 2, which the
    paper lacks (`weight=2`). It records batch statistics in both passes (`statistics="both"`).
    """

    def check(recipe: Recipe, rows: Part) -> str | None:
        smallest = int(rows.class_counts.min())
        if below == 0 or smallest < below:
            return None
        return f"below must leave a class in the tail, got {below}, and the smallest has {smallest} rows; leave it out"

    def make(counts: Tensor) -> ImbSAM:
        return ImbSAM(rare_classes(counts, below), rho, weight=weight, norms=norms, decay=decay, statistics=statistics)

    return corrected(base, "update", _of_classes(make), check=check, reference=cited("zhou2023imbsam"))


def sam_a(
    *,
    base: Base = PLAIN,
    rho: NonNegative = 0.05,
    norms: bool = True,
    decay: bool = False,
    statistics: Statistics = "first",
) -> Method:
    """SAM-A: the ascent climbs the loss weighted by inverse class sizes, the descent is that of the plain loss.

    loss = that of `base` at w + e, e = rho g / (||g|| + 1e-12), g the gradient at w of the loss in which a row of class
    j counts 1 / n_j times; the step is taken from w. rho = 0 is `base`.

    A common factor of the weights cancels. Passes, batch norms and options are those of sam; a stage without classes,
    such as ssp's, takes plain steps.

    Cost: two forward and two backward passes a step, as sam.

    Shwartz-Ziv et al. 2023.

    Works: As sam, where rare classes are to decide which points nearby are bad. Over a base that does not re-balance
    its loss; the authors combine it with small batches, strong augmentation and tuned weight decay.

    Breaks: The descent is as imbalanced as that of `base`. With a base of large class weights the ascent has them
    twice.

    Paper and code: The paper speaks of a larger step for rare classes; its code has one rho, 0.05, and tilts the
    direction by the weights alone, as here.
    """

    def make(counts: Tensor) -> SAM:
        return SAM(
            rho, ascent=ByClass(1 / counts.clamp(min=1).float()), norms=norms, decay=decay, statistics=statistics
        )

    return corrected(base, "update", _of_classes(make), reference=cited("shwartzziv2023simplifying"))


def rare_classes(counts: Tensor, below: int) -> Tensor:
    """Return which classes (C,) are rare: of fewer than `below` rows; 0 for the few-shot group, or the smaller."""
    if below:
        return counts < below
    few = groups(counts).few
    if not few:
        return counts == counts.min()
    rare = torch.zeros_like(counts, dtype=torch.bool)
    rare[list(few)] = True
    return rare


def _of_classes(make: Callable[[Tensor], Update]) -> Change:
    """Replace the kind of step where a stage is trained on class labels; `make` gets the counts of its rows (C,)."""

    def change(built: Built, data: TrainingSet) -> Built:
        targets = getattr(built.learner, "targets", None)
        if isinstance(targets, Given) and targets.name != "targets":
            return built
        return with_update(lambda rows: make(built.data.class_counts))(built, data)

    return change
