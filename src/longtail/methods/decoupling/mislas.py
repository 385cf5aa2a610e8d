"""MiSLAS: mixup training, then the classifier by label-aware smoothing with a learnt factor per class."""

from __future__ import annotations

from typing import Annotated, Any

from torch import nn

from longtail import losses, sampling
from longtail.catalogue.compose import BaseMethod
from longtail.catalogue.implied import uniform
from longtail.catalogue.method import Method
from longtail.data import Part
from longtail.engine import Built, Recipe
from longtail.facts.knobs import NonNegativeFloat, PositiveFloat, UnitFloat, UnitLength
from longtail.learners import SupervisedLearner
from longtail.losses.smoothing import Shape
from longtail.methods.decoupling.lengths import SLOTS, with_factors
from longtail.methods.decoupling.second import retrained

Base = Annotated[Method, BaseMethod(slots=SLOTS, such=("mixup", "ce"))]
MIXED: Any = "mixup"
"""The default of the base, a spec."""
OWN = {"drop": 0.1}
"""The learning rate of the released code on CIFAR: x 0.1 at epoch 160 of 200, x 0.01 at 180."""


def mislas(
    *,
    base: Base = MIXED,
    head: UnitFloat = 0.4,
    tail: UnitFloat = 0.1,
    shape: Shape = "concave",
    power: PositiveFloat = 2.0,
    factor: NonNegativeFloat = 0.2,
    more: UnitLength = 0.05,
    moving_norms: bool = True,
) -> Method:
    """MiSLAS: mixup training, then its classifier by class-balanced draws, with smoother labels in large classes.

    loss = that of `base`; then, of w, b and f alone, -(1 - e_y) log p_y - (e_y / C) sum_j log p_j, p = softmax(z),
    z_j = f_j (<w_j, h> + b_j), with P(class j) = 1 / C; e of label-aware-smoothing (head, tail, shape, power).

    The first stage is `base` itself, by default mixup with alpha = 1, and is trained once for both. The second
    continues its linear classifier at `factor` times the recipe's learning rate, with factors f_j that are 1 at the
    start, at the whole rate; factor=0 and head=tail=0 is lws. It lasts the share `more` of the recipe's epochs, of N
    draws each; more=0 omits it and is `base`. moving_norms (shift_bn in the code): the batch norms of the frozen body
    record the statistics of the class-balanced batches.

    Zhong et al. 2021.

    Works: By the paper mixup helps the features and not the classifier; the second stage balances that one without
    making it over-confident. In their README (CIFAR-10 at ratio 100) the accuracy rises from 72.8 % of mixup to 82.5 %,
    on CIFAR-100 from 39.5 to 47.0 % with an expected calibration error of 4.8 %.

    Breaks: Its constants differ by data set and ratio and have to be tuned. The labels of the second stage are smoothed
    by class size, so its probabilities are biased towards equal ones, most where large classes are true.

    Paper and code: head, tail and `factor` are 0.4, 0.1 and 0.2 for CIFAR-100 at ratio 100, our defaults, and 0.3, 0
    and 0.5 for CIFAR-10, there without moving norms; the factor is 0.05 on large data. The second stage has 10 epochs
    after 200, our share, and cosine decay; ours has the recipe's warm-up and decay. Their sampler takes four rows of
    each drawn class, and none again before all of the class were drawn; ours draws each row independently, with
    replacement.
    """

    def make(trained: nn.Module, rows: Part, recipe: Recipe) -> Built:
        loss = losses.LabelAwareSmoothingLoss(rows.class_counts, head=head, tail=tail, shape=shape, power=power)
        learner = SupervisedLearner(
            with_factors(trained, rows, recipe),
            loss,
            rates={"head.0": factor},
            frozen=["body"],
            moving_norms=moving_norms,
        )
        return Built(learner, rows.drawn(recipe.batch_size, sampling.ClassBalancedSampler(rows.targets)))

    return retrained(base, make, more=more, prior=uniform, slots=SLOTS, reference="zhong2021improving", own=OWN)
