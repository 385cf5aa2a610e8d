"""Label-distribution-aware margins, larger for rare classes, and one margin for all of them beside these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import torch
from torch import Tensor

from longtail import losses
from longtail.catalogue.implied import Implied, weighted
from longtail.catalogue.method import COSINE, Method, one_stage
from longtail.catalogue.references import cited
from longtail.data import Part
from longtail.facts.class_weights import named
from longtail.facts.knobs import NonNegativeFloat, Numbers, PositiveFloat, Range, UnitStart
from longtail.facts.schedules import switch
from longtail.methods.supervised.deferred import START, ClassWeight, weights_from

Shares = Sequence[float] | None
TestPrior = Annotated[Sequence[float], Numbers(Range(0, open_low=True, open_high=True))] | None


def ldam(
    *,
    max_margin: NonNegativeFloat = 0.5,
    scale: PositiveFloat = 30.0,
    exponent: NonNegativeFloat = 0.25,
    test_prior: TestPrior = None,
) -> Method:
    """LDAM: a margin on the true class that grows as the class shrinks, on a cosine head.

    loss = -log softmax(s (z - Delta_y e_y))_y, Delta_j = max_margin n_j^(-1/4) / max_k n_k^(-1/4), z cosines.

    For test data whose class shares n' are known and differ, as in test_prior=(0.7, 0.2, 0.1) of three classes,
    n'_j / n_j is in place of 1 / n_j (eq. 15). `exponent` is in place of 1/4; 0 is one margin for all classes.

    Cao et al. 2019, eq. 12-13.

    Works: The training rows are fitted without error, and rare classes generalise worse: for two classes the exponent
    1/4 minimises the paper's bound on the balanced error. Mostly with deferred weights: see ldam-drw.

    Breaks: In general it is not consistent for the balanced error. On a head whose logits are no cosines the network
    meets any margin by growing its logits.

    Paper and code: The scale s = 30 is in their code, not in the paper. By its authors 10 works about as well, and
    max_margin is the knob to tune (0.5 for small data, 0.3 for iNaturalist).
    """
    stages = one_stage(
        lambda counts: losses.LDAMLoss(
            counts, max_margin=max_margin, scale=scale, exponent=exponent, test_prior=test_prior
        ),
        head="cosine",
    )
    return Method(stages, cited("cao2019learning"), slots=COSINE, misfit=_misfit(test_prior))


def ldam_drw(
    *,
    max_margin: NonNegativeFloat = 0.5,
    scale: PositiveFloat = 30.0,
    at: UnitStart = START,
    class_weight: ClassWeight = "effective",
    exponent: NonNegativeFloat = 0.25,
    test_prior: TestPrior = None,
) -> Method:
    """LDAM with deferred re-weighting: the paper's whole method.

    loss = w_y (LDAM's), w = 1 until progress `at`, then effective-number weights (beta 0.9999); sum / sum of the
    batch's weights.

    `exponent` and `test_prior` as in ldam; a test prior n' also multiplies the weights by n'_y.

    Cao et al. 2019, algorithm 1.

    Works: As ldam, with enough epochs after `at` for the weights to move the classifier. In the Bag of Tricks (Zhang et
    al. 2021, CIFAR-10 at ratio 100) its error is 22.3 %, that of ldam 26.3 % and that of ce 28.1 %.

    Breaks: A class of a few rows has the largest margin and the largest weight, so these rows can dominate a batch.

    Paper and code: The paper's text has weights 1/n_y in the second part (`class_weight="inverse"`); effective numbers
    are its authors' code and our default. The losses are divided by the sum of the batch's weights in both. What the
    weights are under a test prior is not in the code, which has no such margins; n'_y times the others is ours.
    """
    stages = one_stage(
        lambda counts: losses.LDAMLoss(
            counts,
            max_margin=max_margin,
            scale=scale,
            exponent=exponent,
            test_prior=test_prior,
            class_weight=_weights(counts, class_weight, test_prior),
            reweight=switch(at, 0.0, 1.0),
        ),
        head="cosine",
    )
    prior = _implied(class_weight, at, test_prior)
    return Method(stages, cited("cao2019learning"), slots=COSINE, prior=prior, misfit=_misfit(test_prior))


def m_drw(
    *,
    margin: NonNegativeFloat = 0.5,
    scale: PositiveFloat = 30.0,
    at: UnitStart = START,
    class_weight: ClassWeight = "effective",
) -> Method:
    """One margin for all classes, with deferred re-weighting: ldam-drw without margins that differ.

    loss = -w_y log softmax(s (z - m e_y))_y, z cosines; w as in ldam-drw; sum / sum of the batch's weights.

    Cao et al. 2019, section 4 (M-DRW).

    Works: As the ablation of ldam-drw: what differs is the margins alone. In the paper (CIFAR-10 at ratio 100) its
    error is 24.9 %, that of ldam-drw 23.0 % and that of ce-drw 25.1 %.

    Breaks: The margin is not tuned for the data: the paper tunes it and does not say to what. The classifier learns
    about rare classes from the weights alone.

    Paper and code: It is not in the released code. Head, scale and weights are those of ldam-drw, as ours has them.
    """
    stages = one_stage(
        lambda counts: losses.UniformMarginLoss(counts, margin=margin, scale=scale, **weights_from(at, class_weight)),
        head="cosine",
    )
    return Method(stages, cited("cao2019learning"), slots=COSINE, prior=weighted(class_weight, at))


def _weights(counts: Tensor, class_weight: str, test_prior: Shares) -> str | Tensor:
    if test_prior is None:
        return class_weight
    return named(class_weight, counts.cpu(), dtype=torch.float64) * torch.tensor(test_prior, dtype=torch.float64)


def _implied(class_weight: str, at: float, test_prior: Shares) -> Implied:
    balanced = weighted(class_weight, at)
    if test_prior is None or at >= 1:
        return balanced
    return lambda counts: balanced(counts) * torch.tensor(test_prior, dtype=torch.float64)


def _misfit(test_prior: Shares) -> Callable[[Part], str | None]:
    def why(rows: Part) -> str | None:
        size = len(rows.classes)
        if test_prior is None or len(test_prior) == size:
            return None
        return (
            f"needs {size} numbers in test_prior, one per class, got {len(test_prior)}; order them as the classes are"
        )

    return why
