"""Logit adjustment: in the loss, after training, or with a strength chosen on validation data."""

from __future__ import annotations

from functools import partial

from longtail import losses, posthoc
from longtail.catalogue.implied import power, uniform
from longtail.catalogue.method import Method, one_stage
from longtail.catalogue.references import cited
from longtail.facts.knobs import NonNegativeFloat, UnitStart
from longtail.facts.schedules import switch
from longtail.methods.supervised.deferred import START
from longtail.methods.supervised.plain import PLAIN

OWN = {"weight_decay": 1e-4, "decay": "steps", "drop": 0.1}
"""Its paper, appendix D: weight decay 1e-4, drops of 10x; the released code trains six times as long."""


def logit_adjusted(*, tau: NonNegativeFloat = 1.0) -> Method:
    """The logit-adjusted loss: the log prior is added to the logits in training, not in prediction.

    loss = -log softmax(z + tau log pi)_y, pi_j = n_j / N; predict argmax z.

    Menon et al. 2021, eq. 10.

    Works: The balanced error counts and the class shares of the training rows are known: at tau = 1 it is consistent
    for it. It needs no weights, no sampler and no other head.

    Breaks: Class weights, balanced draws or post-hoc adjustment on top count the prior twice. At another tau than 1 it
    is not consistent. For test data with the shares of the training rows it is the wrong aim.

    Paper and code: The code adds 1e-12 to pi^tau before the logarithm. Its CIFAR recipe is six times as long as the
    paper's, with Nesterov momentum and a network of bottleneck blocks that it calls ResNet-32.
    """
    shared = f"logit-adjusted(tau={float(tau)})"  # with balanced-softmax
    stages = one_stage(lambda counts: losses.LogitAdjustedLoss(counts, tau=tau), spec=shared)
    return Method(stages, cited("menon2021long"), own=OWN, prior=uniform if tau == 1 else power(1.0 - tau))


def logit_adjusted_posthoc(*, tau: NonNegativeFloat = 1.0) -> Method:
    """Post-hoc logit adjustment: plain training, then the log prior is subtracted from the logits.

    predict argmax z - tau log pi, z the logits of ce; nothing is retrained.

    Menon et al. 2021, eq. 9.

    Works: The probabilities of ce are good: with the true P(y | x), tau = 1 is the best rule for the balanced error.

    Breaks: A network that is sure of its training rows has no such probabilities, and tau = 1 shifts too little or too
    much: in the paper (table 3, CIFAR-10) the error is 22.6 % at tau = 1 and 19.1 % at the best tau; see ce-threshold.

    Paper and code: They agree, but for 1e-12 that the code adds to pi^tau before the logarithm.
    """
    return Method(PLAIN, cited("menon2021long"), posthoc=partial(posthoc.LogitAdjustment, tau=tau), own=OWN)


def balanced_softmax() -> Method:
    """Balanced softmax: logit-adjusted at tau = 1 under another name; a comparison trains it once.

    loss = -log(n_y exp(z_y) / sum_j n_j exp(z_j)); predict argmax z.

    Ren et al. 2020, section 3.1.

    Works: Wherever logit-adjusted works, without a knob to tune.

    Breaks: Post-hoc adjustment or balanced draws on top: in the survey of Zhang et al. 2023 its accuracy on ImageNet-LT
    falls from 51.2 to 46.6 % with the first and to 44.6 % with both.

    Paper and code: The losses agree. Their numbers have another recipe (AutoAugment, Cutout, batch 512); the meta
    sampler that completes their method (BALMS) is not included.
    """
    return Method(logit_adjusted(tau=1.0).stages, cited("ren2020balanced"), prior=uniform)


def balanced_softmax_drw(*, at: UnitStart = START) -> Method:
    """Balanced softmax, deferred: plain cross-entropy until progress `at`, then log counts in the logits.

    loss = -log softmax(z + r log pi)_y, r = 0 until progress `at`, then 1; predict argmax z. No class weights.

    The row of Zhang et al. 2021 (Bag of Tricks) that combines the balanced softmax with its deferred re-weighting.

    Works: As balanced-softmax, if features learnt without adjustment are better; the adjustment has the last part of
    the training, with small steps, to move the scores.

    Breaks: In the Bag of Tricks deferral gains nothing: its error is 22.8 % and that of balanced-softmax 22.5 % on
    CIFAR-10 at ratio 100, 58.2 against 57.0 % on CIFAR-100.

    Paper and code: In that code DRW switches on whatever a loss has per class, here the log counts, not class weights
    on top of them, which would count the prior twice; so `drw(base="balanced-softmax")` is refused.
    """
    late = switch(at, 0.0, 1.0)
    stages = one_stage(lambda counts: losses.LogitAdjustedLoss(counts, tau=late))
    return Method(stages, cited("zhang2021bag"), prior=uniform if at < 1 else None)
