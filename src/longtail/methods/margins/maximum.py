"""Maximum-margin losses: a margin that depends on each example's own lead."""

from __future__ import annotations

from typing import Any

from longtail import losses
from longtail.catalogue.implied import weighted
from longtail.catalogue.method import COSINE, MakeStages, Method, one_stage
from longtail.catalogue.references import cited
from longtail.facts.knobs import NonNegativeFloat, PositiveFloat, UnitStart
from longtail.facts.schedules import switch
from longtail.methods.supervised.deferred import START, ClassWeight


def mm(*, delta_minus: NonNegativeFloat = 0.6, beta: NonNegativeFloat = 1.5, scale: PositiveFloat = 30.0) -> Method:
    """MM, maximum margin: the true class is lowered by a margin that is largest near the decision boundary.

    loss = -log softmax(s (z - Delta e_y))_y, z cosines, m = z_y - max_{j != y} z_j, constant in the gradient;
    Delta = exp(-m - beta delta_minus) where m > 0 and exp(m - delta_minus) where the example is wrong or tied.

    Kang et al. 2021.

    Works: Which examples are near the boundary matters more than their class: no count enters. In the paper (CIFAR-10
    at ratio 100) its error is 26.6 %, that of ldam 26.7 %.

    Breaks: It ignores class sizes: see mm-drw. The best constants and the scale differ by data set and ratio.

    Paper and code: The released code reads every row's true logit at the label of the batch's first example, takes
    max(0, others) as the runner-up and gives a tie no margin; the paper's numbers were probably made so. This is the
    paper's formula. Its code tunes s per data set (10 to 26), which the paper does not say.
    """
    return Method(_stages(delta_minus, beta, scale), cited("kang2021learning"), slots=COSINE)


def mm_drw(
    *,
    delta_minus: NonNegativeFloat = 0.6,
    beta: NonNegativeFloat = 1.5,
    scale: PositiveFloat = 30.0,
    at: UnitStart = START,
    class_weight: ClassWeight = "effective",
) -> Method:
    """MM with deferred re-weighting.

    loss = w_y (that of mm), w = 1 until progress `at`, then effective-number weights; sum / sum of the batch's weights.

    Kang et al. 2021, table 1 (MM-DRW).

    Works: As ce-drw. In the paper (CIFAR-10 at ratio 100) its error is 22.0 %, beside 23.0 % that it quotes for
    ldam-drw.

    Breaks: As mm: the paper's best beta and delta_minus differ by setting (1.0 to 1.8 and 0.6 to 2.4), and a tenth of
    beta moves its error by up to 0.9 points.

    Paper and code: The paper has weights 1/n_y (`class_weight="inverse"`) and does not re-normalise the learning rate;
    its code has effective numbers and divides by the sum of the batch's weights, as ours. The bugs of mm are in it.
    """
    drw = _deferred(at, class_weight)
    return Method(
        _stages(delta_minus, beta, scale, **drw),
        cited("kang2021learning"),
        slots=COSINE,
        prior=weighted(class_weight, at),
    )


def mm_ldam_drw(
    *,
    delta_minus: NonNegativeFloat = 0.6,
    beta: NonNegativeFloat = 1.5,
    scale: PositiveFloat = 30.0,
    at: UnitStart = START,
    class_weight: ClassWeight = "effective",
) -> Method:
    """MM-LDAM with deferred re-weighting: the margin of an example grows with its rarity and with its nearness.

    loss = w_y (that of mm with delta_minus - Delta_y in place of delta_minus), Delta of ldam with maximum 0.5; w as in
    mm-drw.

    Kang et al. 2021, table 1 (MM-LDAM-DRW).

    Works: As mm-drw, for rare classes that need the larger margin. In the paper (CIFAR-10 at ratio 100) its error is
    21.4 %, that of mm-drw 22.0 %.

    Breaks: As mm-drw. With delta_minus below 0.5 the exponent of a rare class changes its sign, and margins exceed 1.

    Paper and code: The paper has no formula for it; this is the released code's, without the bugs of mm.
    """
    drw = _deferred(at, class_weight)
    return Method(
        _stages(delta_minus, beta, scale, ldam=True, **drw),
        cited("kang2021learning"),
        slots=COSINE,
        prior=weighted(class_weight, at),
    )


def _stages(delta_minus: float, beta: float, scale: float, **options: Any) -> MakeStages:
    return one_stage(
        lambda counts: losses.MaximumMarginLoss(counts, delta_minus=delta_minus, beta=beta, scale=scale, **options),
        head="cosine",
    )


def _deferred(at: float, class_weight: str) -> dict[str, Any]:
    return {"class_weight": class_weight, "reweight": switch(at, 0.0, 1.0)}
