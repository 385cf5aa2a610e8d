"""A factor per class on the logits, in training only: class-dependent temperatures and vector scaling."""

from __future__ import annotations

from typing import Any

import torch

from longtail import losses
from longtail.catalogue.implied import Implied, power
from longtail.catalogue.method import MakeLoss, Method, Misfit, one_stage
from longtail.catalogue.references import cited
from longtail.data import Part
from longtail.facts import class_weights
from longtail.facts.knobs import NonNegativeFloat, PositiveFloat, UnitStart
from longtail.facts.schedules import switch
from longtail.methods.supervised.deferred import START

GAMMA = 0.15
"""What others report as tuned for CIFAR-10 at ratio 100; 0.3 is the default of the paper's code, 0.2 its example's."""


def cdt(*, gamma: NonNegativeFloat = 0.2) -> Method:
    """CDT, class-dependent temperatures: a rare class's logit is shrunk in training, so the network must raise it.

    loss = -log softmax(b z)_y, b_j = (n_j / n_max)^gamma; predict argmax z.

    Ye et al. 2020, section 4.

    Works: The training rows are fitted without error, where offsets of the logits lose their effect and factors do not.
    In the Bag of Tricks (Zhang et al. 2021, CIFAR-10 at ratio 100) its error is 22.9 %, that of ce 28.1 %.

    Breaks: It is not consistent for the balanced error, and gamma must be tuned: at 0 it is ce. Before the rows are
    fitted, the factors only slow rare classes down.

    Paper and code: gamma = 0.2 is that of the Bag of Tricks; the paper tunes it. We have not read its own code.
    """
    make = lambda counts: losses.CDTLoss(counts, gamma=gamma)  # noqa: E731
    return Method(one_stage(make), cited("ye2020identifying"), misfit=_unfit(make))


def cdt_drw(*, gamma: NonNegativeFloat = 0.2, at: UnitStart = START) -> Method:
    """CDT, deferred: plain cross-entropy until progress `at`, class-dependent temperatures from then on.

    loss = -log softmax(b z)_y, b = 1 until progress `at`, then b_j = (n_j / n_max)^gamma; predict argmax z. No class
    weights.

    The row of Zhang et al. 2021 (Bag of Tricks) that combines CDT with its deferred re-weighting.

    Works: As cdt, and the features are learnt from all rows alike: when the temperatures begin, the rows are mostly
    fitted. In the Bag of Tricks (CIFAR-10 at ratio 100) its error is 22.5 %, that of cdt 22.9 %.

    Breaks: As cdt, gamma must be tuned; and the last part is short, with small steps, so the logits of rare classes may
    not be raised far enough. On CIFAR-10 at ratio 50 it is behind cdt there, 18.7 against 18.2 %.

    Paper and code: In that code DRW switches on whatever a loss has per class, here the temperatures, not class weights
    on top of them. `drw(base="cdt")` would add class weights.
    """
    make = lambda counts: losses.CDTLoss(counts, gamma=switch(at, 0.0, gamma))  # noqa: E731
    return Method(one_stage(make), cited("zhang2021bag"), misfit=_unfit(make))


def vs(*, gamma: NonNegativeFloat = GAMMA, tau: NonNegativeFloat = 1.0, binary: bool = False) -> Method:
    """VS, vector scaling: a factor and an offset per class on the logits, in training only.

    loss = -log softmax(b z + tau log pi)_y, b_j = (n_j / n_max)^gamma; predict argmax z.

    For two classes, binary=True is the paper's binary form log(1 + exp(o_k - o_y - b_y (z_y - z_k))), o = tau log pi,
    k the other class: one factor, the true class's, on the difference. At gamma = 0 both are logit-adjusted.

    Kini et al. 2021, section 2.

    Works: Offsets act early, factors once the training rows are fitted. By the code of Wang et al. 2023 (CIFAR-10 at
    ratio 100) its accuracy is 80.3 %, that of ldam-drw 78.0 % and that of ce 71.3 %.

    Breaks: gamma and tau are tuned per data set. For gamma > 0 it is not consistent for the balanced error: factor and
    offset push the same way, and together they can go beyond balanced classes, at the expense of frequent ones. Class
    weights or balanced draws on top count the prior twice at tau = 1.

    Paper and code: The code divides by (n_max / n_j)^gamma, which is the same, and has gamma 0.3 and tau 1 as defaults;
    its example for CIFAR-10 at ratio 100 has 0.2 and 1.2; 0.15 is reported as tuned there, with tau 1.25. tau = 1 is
    ours. Its binary form multiplies the logit by 30.
    """
    kind = losses.BinaryVSLoss if binary else losses.VSLoss
    make = lambda counts: kind(counts, gamma=gamma, tau=tau)  # noqa: E731
    return Method(one_stage(make), cited("kini2021label"), prior=power(1.0 - tau), misfit=_unfit(make, binary))


def vs_tla_adrw(
    *,
    gamma: NonNegativeFloat = GAMMA,
    tau: NonNegativeFloat = 1.0,
    nu: PositiveFloat = 0.15,
    at: UnitStart = START,
) -> Method:
    """VS, then truncated logit adjustment with aligned deferred re-weighting (TLA + ADRW).

    loss = -alpha_y log softmax(b z + tau log pi)_y; until progress `at` b as in vs and alpha = 1, from then on b = 1
    and alpha_j proportional to pi_j^(-nu); sum / sum of the batch's weights.

    Wang et al. 2023.

    Works: As vs; `at` is a drop of the learning rate. At tau + nu = 1 it ends as a loss that is consistent for the
    balanced error. By its code (CIFAR-10 at ratio 100) its accuracy is 80.8 %, that of vs 80.3 %.

    Breaks: At tau = 1 the weights lean beyond balanced classes, towards rare ones, by pi^(-nu). What it adds to vs is
    0.1 to 0.9 points in its code's tables; a tuned weight decay adds more there.

    Paper and code: Its scripts train twice, each stage with tau, weight decay and SAM of its own, the second from a
    stored network of the first; this is one training. nu is theirs for CIFAR-10 at ratio 100, with gamma 0.05 there.
    """

    def loss(counts: torch.Tensor) -> losses.Loss:
        weight = class_weights.power(counts.cpu(), nu, dtype=torch.float64)
        late: dict[str, Any] = {"class_weight": weight, "reweight": switch(at, 0.0, 1.0)}
        return losses.VSLoss(counts, gamma=switch(at, gamma, 0.0), tau=tau, **late)

    implied: Implied = power(1.0 - tau - (nu if at < 1 else 0.0))
    return Method(one_stage(loss), cited("wang2023unified"), prior=implied, misfit=_unfit(loss))


def _unfit(loss: MakeLoss, binary: bool = False) -> Misfit:
    """Return the check that the loss accepts the class counts, and two classes where it is binary."""

    def misfit(rows: Part) -> str | None:
        size = len(rows.classes)
        if binary and size != 2:
            return f"with binary=True is for two classes, got {size}; leave binary out"
        try:
            loss(rows.class_counts)
        except ValueError as error:
            return f"does not fit these rows: {error}"
        return None

    return misfit
