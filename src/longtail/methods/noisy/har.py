"""HAR: a regulariser that is strong for uncertain and for rare classes, over any supervised base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from longtail.catalogue.compose import PLAIN, BaseMethod, changed_stages, with_update
from longtail.catalogue.halves import halves_stage, held_out_accuracies
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.data import Part, TrainingSet
from longtail.engine import Built, Recipe, Stage
from longtail.facts.knobs import Length, NonNegativeFloat, Range, UnitStart
from longtail.facts.learner import Learner
from longtail.functional.adaptive_regularisation import class_strengths
from longtail.methods.supervised.deferred import START, ClassWeight, ce_drw
from longtail.models.hidden import Hidden, hidden_layers
from longtail.updates.adaptive import AdaptiveRegularisation

OVER = ("update", "classifier", "start")
"""What it takes up: a base of one stage, which stays the last one and begins from new."""
Base = Annotated[Method, BaseMethod(slots=OVER)]
Splits = Annotated[int, Range(1, 2, integer=True)]
Share = Annotated[float, Length(0, open_low=True, open_high=True)]
REG_WEIGHT = 10.0
"""Of the commands in their README; the flag's own default is 0.1."""


def har(
    *,
    base: Base = PLAIN,
    reg_weight: NonNegativeFloat = REG_WEIGHT,
    splits: Splits = 1,
    estimation: Share = 1.0,
    error_power: NonNegativeFloat = 0.6,
    size_power: NonNegativeFloat = 0.4,
    per_row: bool = False,
) -> Method:
    """HAR: the loss is made flat around the hidden values, most for classes that are rare or hard to be sure of.

    loss = L + reg_weight (1/B) sum_i s_(y_i) sum_l ||dL / dh_l[i]||_2, L that of `base` on the batch of B rows
    s_c = (1 - a_c)^error_power / n_c^size_power, divided by max_k s_k

    First, plain cross-entropy is trained on half of the rows of every class, and a_c is its accuracy on the other half,
    by the labels that these rows have; splits=2 trains on each half and counts both. That training lasts the share
    `estimation` of the recipe's epochs, passes over half of the rows, and is shared by all methods that begin with it.
    A class of one row has a_c = 0, if splits=1 because no row is left to measure on. Then `base` is trained on all
    rows, from new. L is a mean over the batch, so that the norms have its 1/B; per_row=True multiplies them by B.
    reg_weight=0 is `base`, without the first training.

    h_l are the outputs of the norms of every residual block before their factors and shifts, neither the stem's nor a
    shortcut's: 30 for a ResNet-32. Of a network without residual blocks they are those of all norms, and without norms
    the outputs of its linear layers and convolutions, before the activation. Of two mixed examples y_i is the label
    with the larger share.

    Cost: the first training, and in every step a second derivative through the whole network, which takes several
    times as long as the first one.

    Cao et al. 2021.

    Works: Classes differ in how sure their labels can be, wrong labels among the reasons, and in size: one strength for
    all would be too much for some and too little for others.

    Breaks: Their reg_weight is one for CIFAR, a ResNet-32 and batches of 128: with other data it has to be tuned.
    Without norms the values have a scale of their own, and so has the regulariser. a_c of a class with few rows is
    measured on fewer. A network without hidden layers is refused.

    Paper and code: Their commands have reg_weight 10 (default here), the flag 0.1, and measure on one half alone
    (splits=1); code for both halves is there, how to join them is not. Networks other than their ResNets, the choice of
    the half class by class, and classes without rows to measure on are ours. Their two trainings last 120 epochs each.
    """
    return _regularised(
        base,
        reg_weight,
        splits=splits,
        estimation=estimation,
        error_power=error_power,
        size_power=size_power,
        per_row=per_row,
    )


def har_drw(
    *,
    reg_weight: NonNegativeFloat = REG_WEIGHT,
    splits: Splits = 1,
    estimation: Share = 1.0,
    error_power: NonNegativeFloat = 0.6,
    size_power: NonNegativeFloat = 0.4,
    per_row: bool = False,
    at: UnitStart = START,
    class_weight: ClassWeight = "effective",
) -> Method:
    """HAR with deferred re-weighting: class weights from progress `at` on, in the loss and in its regulariser.

    loss = L + reg_weight (1/B) sum_i s_(y_i) sum_l ||dL / dh_l[i]||_2, L that of ce-drw
    s_c = (1 - a_c)^error_power / n_c^size_power, divided by max_k s_k

    It is har over ce-drw: the weights are part of the loss that is differentiated. The accuracies a_c are those of
    plain cross-entropy on half of the rows, the same training as har's.

    Cao et al. 2021, HAR-DRW.

    Works: As har, where rare classes should also count more in the loss itself.

    Breaks: Rare classes are weighed three times at the end: by the loss, by s, and by gradients that have the loss's
    weights. What har says of reg_weight and of small classes holds here, too.

    Paper and code: The constants are har's. Theirs defers to epoch 80 of 120, where the learning rate drops first
    (`at` = 2/3); here, as for all methods of this kind, to the first drop of the common recipe.
    """
    return _regularised(
        ce_drw(at=at, class_weight=class_weight),
        reg_weight,
        splits=splits,
        estimation=estimation,
        error_power=error_power,
        size_power=size_power,
        per_row=per_row,
    )


def _regularised(
    base: Method,
    reg_weight: float,
    *,
    splits: int,
    estimation: float,
    error_power: float,
    size_power: float,
    per_row: bool,
) -> Method:
    reference = cited("cao2021heteroskedastic")
    taken = base.taken | set(OVER)
    slots = base.slots - {"targets"}  # strengths are those of the labels as given
    if reg_weight == 0:
        return replace(base, reference=reference, taken=taken, slots=slots)

    def change(built: Built, data: TrainingSet, previous: Learner | None) -> Built:
        accuracies = held_out_accuracies(previous, data.labeled)
        strengths = class_strengths(accuracies, data.class_counts.cpu(), error_power, size_power)
        update = AdaptiveRegularisation(strengths, reg_weight, Hidden, per_row=per_row)
        return with_update(lambda rows: update)(built, data)

    def stages(recipe: Recipe) -> Sequence[Stage]:
        *first, last = changed_stages(base, lambda built, data: built)(recipe)

        def build(data: TrainingSet, previous: Learner | None) -> Built:
            return change(last.build(data, None), data, previous)

        shorter = replace(recipe, epochs=max(1, round(estimation * recipe.epochs)))
        return [*first, halves_stage(shorter, splits), replace(last, build=build)]

    def check(recipe: Recipe, rows: Part) -> str | None:
        if splits == 2 and int(rows.class_counts.max()) == 1:
            return "splits must be 1 where no class has two rows, got 2; leave it out"
        return _not_twice(recipe, rows)

    checks = (*base.checks, check)
    return replace(base, stages=stages, taken=taken, slots=slots, checks=checks, reference=reference)


def _not_twice(recipe: Recipe, rows: Part) -> str | None:
    """Return why the loss cannot be differentiated twice, by way of hidden values; None where it can."""
    if recipe.compile:
        return "compile must be off, since a compiled network has no second derivative, got compile=True; leave it out"
    if recipe.own is None and not hidden_layers(recipe.sketch(rows)):
        return f"it needs a network with hidden layers, got {recipe.builder(rows)['name']}; choose another with --model"
    return None
