"""Logit adjustment: in the loss, after training, or with a strength chosen on validation data."""

from __future__ import annotations

from functools import partial

from longtail import losses, posthoc
from longtail.catalogue.implied import power, uniform
from longtail.catalogue.method import Method, one_stage
from longtail.catalogue.references import cited
from longtail.facts.knobs import NonNegativeFloat
from longtail.methods.supervised.plain import PLAIN

OWN = {"weight_decay": 1e-4, "decay": "steps", "drop": 0.1}
"""Its paper, appendix D: weight decay 1e-4, drops of 10x; the released code trains six times as long."""


def logit_adjusted(*, tau: NonNegativeFloat = 1.0) -> Method:
    """The logit-adjusted loss: the log prior is added to the logits in training, not in prediction.

    loss = -log softmax(z + tau log pi)_y, pi_j = n_j / N; predict argmax z.

    Menon et al. 2021, eq. 10; consistent for the balanced error at tau = 1. Their released CIFAR recipe is six
    times as long as the paper's.
    """
    shared = f"logit-adjusted(tau={float(tau)})"  # with balanced-softmax
    stages = one_stage(lambda counts: losses.LogitAdjustedLoss(counts, tau=tau), spec=shared)
    return Method(stages, cited("menon2021long"), own=OWN, prior=uniform if tau == 1 else power(1.0 - tau))


def logit_adjusted_posthoc(*, tau: NonNegativeFloat = 1.0) -> Method:
    """Post-hoc logit adjustment: plain training, then the log prior is subtracted from the logits.

    predict argmax z - tau log pi, z the logits of ce; nothing is retrained.

    Menon et al. 2021, eq. 9.
    """
    return Method(PLAIN, cited("menon2021long"), posthoc=partial(posthoc.LogitAdjustment, tau=tau), own=OWN)


def balanced_softmax() -> Method:
    """Balanced softmax: logit-adjusted at tau = 1 under another name; a comparison trains it once.

    loss = -log(n_y exp(z_y) / sum_j n_j exp(z_j)); predict argmax z.

    Ren et al. 2020, section 3.1. Their published numbers use another recipe (AutoAugment, batch 512).
    """
    return Method(logit_adjusted(tau=1.0).stages, cited("ren2020balanced"), prior=uniform)


def ce_threshold() -> Method:
    """Plain training, then thresholds moved by tau log pi, with tau chosen on validation data.

    predict argmax z - tau log pi, tau in [0, 3] the best for balanced accuracy on the validation part.

    Threshold moving (Zhou and Liu 2006) with row costs pi^(-tau). It needs a validation part (--val 0.2).
    """
    return Method(PLAIN, cited("zhou2006training"), posthoc=posthoc.TunedLogitAdjustment, needs_val=True)
