"""Deferred re-balancing: plain training first, re-balanced training at the end."""

from __future__ import annotations

from typing import Annotated

from longtail import losses, sampling
from longtail.catalogue.implied import Implied, uniform, weighted
from longtail.catalogue.method import MakeDraw, Method, one_stage
from longtail.catalogue.references import cited
from longtail.facts.knobs import Choice, NonNegativeFloat, UnitStart
from longtail.facts.schedules import switch
from longtail.losses.signature import Common

ClassWeight = Annotated[str, Choice(("effective", "inverse", "sqrt"))]
START = 0.8
"""Share of the epochs before re-balancing begins: the first drop of the learning rate in the LDAM recipe (160/200)."""


def weights_from(at: float, class_weight: ClassWeight) -> Common:
    """Return the arguments of a loss whose class weights begin at progress `at`."""
    return {"class_weight": class_weight, "reweight": switch(at, 0.0, 1.0)}


def balanced_from(at: float) -> MakeDraw:
    """Return the draws of each row once an epoch until progress `at`, and class-balanced ones from then on."""
    return lambda targets: sampling.Deferred(sampling.ClassBalancedSampler(targets), at=at)


def drawn_prior(at: float) -> Implied | None:
    """Return the prior of the scores after `balanced_from`."""
    return uniform if at < 1 else None


def ce_drw(*, at: UnitStart = START, class_weight: ClassWeight = "effective") -> Method:
    """Cross-entropy with deferred re-weighting.

    loss = -w_y log softmax(z)_y, w = 1 until progress `at`, then effective-number weights (beta 0.9999); sum /
    sum of the batch's weights.

    Cao et al. 2019, algorithm 1.

    Works: The features are learnt from all rows alike, and `at` is the first drop of the learning rate: the classifier
    is re-balanced by small steps.

    Breaks: Re-balanced early or from the start, it is cb-ce. For n_j far below 10,000 the weights are inverse
    frequencies: a row of a class a hundred times smaller weighs about a hundred times as much.

    Paper and code: The paper's text has weights 1/n_y in the second part (`class_weight="inverse"`); effective numbers
    are its authors' code and our default. Their code fails in trainings of more than 320 epochs; here `at` is a share
    of any length.
    """
    stages = one_stage(
        lambda counts: losses.CrossEntropyLoss(counts, **weights_from(at, class_weight)),
    )
    return Method(stages, cited("cao2019learning"), prior=weighted(class_weight, at))


def ce_drs(*, at: UnitStart = START) -> Method:
    """Cross-entropy with deferred re-sampling: each example once an epoch until `at`, then class-balanced draws.

    P(class j) = n_j / N until progress `at`, 1 / C from then on.

    Cao et al. 2019, section 4 and appendix ("deferred re-sampling").

    Works: As ce-drw, but every example has the same weight, so no batch is dominated by one row.

    Breaks: A long second part over-fits the rare classes: each of their rows is then drawn N / (C n_j) times an epoch.

    Paper and code: Their code builds the sampler and never uses it; this is the paper's text.
    """
    stages = one_stage(
        lambda counts: losses.CrossEntropyLoss(),
        draw=balanced_from(at),
    )
    return Method(stages, cited("cao2019learning"), prior=drawn_prior(at))


def focal_drw(
    *,
    gamma: NonNegativeFloat = 2.0,
    at: UnitStart = START,
    class_weight: ClassWeight = "effective",
    weight_in_modulator: bool = False,
) -> Method:
    """Focal loss (softmax form) with deferred re-weighting.

    loss = -w_y (1 - p_y)^gamma log p_y, w = 1 until progress `at`; mean over the batch.

    Works: As ce-drw, where easy examples should count less in both parts.

    Breaks: The focal factor adds little on a long tail: in the Bag of Tricks (Zhang et al. 2021, CIFAR-10 at ratio 100,
    sigmoid form) its error is 28.9 % with deferred weights and 28.4 % without; cross-entropy with deferred
    class-balanced weights has 25.4 %.

    Paper and code: LDAM's code has gamma = 1 and lets the weight into the modulator as well
    (`weight_in_modulator=True`: c = -w_y log p_y, loss (1 - exp(-c))^gamma c).
    """
    stages = one_stage(
        lambda counts: losses.FocalLoss(
            counts,
            gamma=gamma,
            **weights_from(at, class_weight),
            weight_in_modulator=weight_in_modulator,
        ),
    )
    return Method(stages, cited("cao2019learning"), prior=weighted(class_weight, at))
