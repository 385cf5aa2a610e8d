"""Weights computed from the losses: ABSGD and its relatives, over any supervised method.

A hard example (a large loss) weighs more for imbalance, less for label noise. All of these act on `base`: its network,
loss, sampler and schedules do not change.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import nn

from longtail import instance_weights
from longtail.catalogue.compose import PLAIN, Base, Gamma, Lambda, Start, corrected, with_weights, worked_example
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.data import Part
from longtail.facts.knobs import Knob, NonNegativeFloat, PositiveFloat, Range, UnitFloat
from longtail.facts.schedules import Switch

TWO_STAGES = Switch(0.8, math.inf, 5.0)
"""Plain training first, weights from the first drop of the learning rate on: the authors' recipe for CIFAR."""
Share = Annotated[Knob, Range(0, 1, open_low=True)]
Tau = Annotated[Knob, Range(0, open_low=True)]
Tilt = Annotated[Knob, Range(open_low=True, open_high=True)]
TiltWithin = Annotated[float, Range(open_low=True, open_high=True)]


def absgd(
    *,
    base: Base = PLAIN,
    lam: Lambda = TWO_STAGES,
    gamma: Gamma = 0.5,
    init: Start = "first",
    alpha: PositiveFloat = 1.0,
    uniform: NonNegativeFloat = 0.0,
) -> Method:
    """ABSGD: every example weighs exp(its loss / lambda), against a moving average; over any supervised base.

    loss = mean of p_i l_i, p_i = exp(l_i / lambda) / s, s <- (1 - gamma) s + gamma (batch mean of exp(l / lambda)),
    p constant in the gradient; l the per-example losses of `base`, its class weights included. s starts at the first
    batch's mean, or by `init` at a number (the paper's s_0) or 0, and starts again whenever lambda changes.

    |lambda| = inf is plain training; gamma is the weight of the new batch. The default is the authors' recipe for
    CIFAR: plain until the first drop of the learning rate, then lambda (two stages; `lam=5` weighs from the start). 5
    is from one of their two example commands and 0.5 the gamma that their ablation finds best; they tune lambda in
    1..10 and gamma in 0.1..1, and so should you, on validation data. Their CB-CE, CB-focal and CB-LDAM have deferred
    class weights: `absgd(base="ce-drw")`, `absgd(base="focal-drw(gamma=1, weight_in_modulator=True)")`,
    `absgd(base="ldam-drw")`, to be compared with those bases. With weights, losses are divided by the batch and not by
    the sum of the class weights.

    For noisy labels lambda is negative, over a base such as ce, sce or gce, and begins late: `absgd(base="sce",
    lam=switch(0.666, inf, -1.0))` is plain for 80 of 120 epochs, as they train CIFAR. There they search lambda in -0.1,
    -0.5, -1, -2, -3 and gamma in 0.1, 0.5, 0.9; for Clothing1M lambda in -1, -5, -10, -15, from the middle on.

    Qi et al. 2023, algorithm 1.

    Works: lambda > 0 weighs hard examples up, for imbalance with clean labels: in the paper's figure 4 the rare classes
    have the larger average weight. lambda < 0 weighs them down, for noisy labels.

    Breaks: lambda > 0 weighs wrong labels up, lambda < 0 the rare classes of a clean long tail down. For small |lambda|
    a single example can have nearly all the weight of a batch. lambda < 0 from the start, when every loss is large,
    leaves the weight to the few rows that are easy first: on 10,000 images of CIFAR-10 with symmetric noise 0.4, sce's
    network and 30 epochs, `absgd(base="sce", lam=-1)` ended at 17.3 % accuracy and sce at 68.5
    (benchmarks/results/noise/README.md). The loss of sce for a row that is predicted as another class is about 9, and
    exp(-9) is 1e-4. Train plainly first, as above.

    Paper and code: Their code differs, each difference is a knob: s starts at zero (`init="zero"`); in the repository
    of the experiments the new batch is multiplied by alpha (`alpha=0.5`: all weights, and so the learning rate,
    double), gamma is 0.1 by default and a uniform weight is added for noisy labels (`uniform=1`: no row weighs less
    than in plain training); the published package has alpha 1, gamma 0.9 and a first epoch without weights. They report
    the best epoch on the test part (`--evaluations` records one).
    """

    def make(data: Part | None = None) -> nn.Module:
        return instance_weights.ABSGD(lam, gamma, init=init, alpha=alpha, uniform=uniform)

    make()  # knobs that do not go together are refused now
    return corrected(base, "weights", with_weights(make), reference=cited("qi2023attentional"), example=example)


def term(*, base: Base = PLAIN, t: Tilt = 1.0, by_class: bool = True, within: TiltWithin = 0.0) -> Method:
    """TERM, tilted empirical risk: hard classes or hard examples of the batch weigh more.

    loss = (1/t) log((1/B) sum_c n_c exp(t R_c)), R_c the mean loss of the n_c examples of class c in the batch of B;
    by_class=False: of the examples. `within` tilts the examples of a class inside it.

    by_class=False is absgd with lambda = 1/t and gamma = 1. Li et al. 2021, eq. 2 and their hierarchical objective.

    Works: t > 0 weighs hard classes up, for imbalance; t < 0 with by_class=False weighs hard examples down, for noisy
    labels. Both at once: `term(t=10, within=-2)`.

    Breaks: Classes that a batch does not have get no weight from it, and the mean loss of a rare class is that of one
    row or two. A large t leaves the hardest class of the batch alone, so that t must be tuned.

    Paper and code: Against imbalance their code tilts classes with t = 100, by their mean losses over all training rows
    at every step; ours are the batch's. Their code for noisy labels leaves out the logarithm and moves t from 0.
    """

    def make(data: Part | None = None) -> nn.Module:
        return instance_weights.TERM(t, by_class=by_class, within=within)

    make()
    return corrected(base, "weights", with_weights(make), reference=cited("li2021tilted"))


def eg(*, base: Base = PLAIN, tau: Tau = 1.0, persistent: bool = False, memory: UnitFloat = 1.0) -> Method:
    """EG, exponentiated-gradient weights: easy examples weigh more, normalised over the batch; for noisy labels.

    loss = mean of p_i l_i, p = B softmax(-l / tau) over the batch of B; persistent=True: p_i = B v_i / sum_j v_j,
    v_i <- v_i^memory exp(-l_i / tau) stored for every training row.

    tau = inf is plain training, bit for bit: `eg(base="sce", tau=switch(0.666, inf, 1.0))` is plain for 80 of 120
    epochs.

    Majidi et al. 2021. The batch form is absgd with lambda = -tau and gamma = 1.

    Works: Wrong labels in classes of like size: their losses are large and their weights small.

    Breaks: On clean long tails it weighs rare classes down. With persistent=True and memory=1 the losses of all visits
    add up: a row that was hard early scarcely returns. From the start, when every loss is large, the few rows that are
    easy first have all the weight: on CIFAR-10 with symmetric noise 0.4, sce's network and 120 epochs,
    `eg(base="sce")` ended at 21.6 % accuracy and sce at 84.4 (benchmarks/results/noise/README.md). Train plainly first,
    as above.

    Paper and code: No code of theirs is public, and how they schedule tau we do not know. The batch form is how Qi et
    al. 2023 compare with it; their code does not have it either.
    """

    def make(data: Part) -> nn.Module:
        return instance_weights.EG(tau, persistent, size=len(data) if persistent else None, memory=memory)

    instance_weights.EG(tau)  # a schedule that does not do is refused now
    return corrected(base, "weights", with_weights(make), reference=cited("majidi2021exponentiated"))


def small_loss(*, base: Base = PLAIN, keep: Share = 0.8) -> Method:
    """Small-loss selection: only the share `keep` of the batch with the smallest losses is learnt; for noisy labels.

    loss = mean of l_i over the floor(keep B) smallest of the batch of B.

    The selection of co-teaching, Han et al. 2018, by the network's own losses instead of a second network's.

    Works: The share of wrong labels is known, keep is one minus it, and the network learns right labels first.

    Breaks: On clean long tails it leaves out rare classes. A network that selects by its own losses confirms its
    errors.

    Paper and code: Co-teaching lets the share fall to `keep` over its first ten epochs (here keep may be a schedule).
    Its code divides the mean by the number of selected examples twice.
    """

    def make(data: Part | None = None) -> nn.Module:
        return instance_weights.SmallLoss(keep)

    return corrected(base, "weights", with_weights(make), reference=cited("han2018co"))


def example() -> list[str]:
    """Compute the effect of lambda on a loss of 3 and one of 1."""
    return worked_example(lambda lam: instance_weights.ABSGD(lam, 1.0), (5.0, 1.0, -1.0), torch.tensor([1.0, 3.0]))
