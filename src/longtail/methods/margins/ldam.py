"""Label-distribution-aware margins: rare classes get the larger margin."""

from __future__ import annotations

from longtail import losses
from longtail.catalogue.implied import weighted
from longtail.catalogue.method import Method, one_stage
from longtail.catalogue.references import cited
from longtail.facts.knobs import NonNegativeFloat, PositiveFloat, UnitFloat
from longtail.facts.schedules import switch
from longtail.methods.supervised.deferred import START, ClassWeight


def ldam(*, max_margin: NonNegativeFloat = 0.5, scale: PositiveFloat = 30.0) -> Method:
    """LDAM: a margin on the true class that grows as the class shrinks, on a cosine head.

    loss = -log softmax(s (z - Delta_y e_y))_y, Delta_j = max_margin n_j^(-1/4) / max_k n_k^(-1/4), z cosines.

    Cao et al. 2019, eq. 12-13.

    Works: The training rows are fitted without error, and rare classes generalise worse: for two classes the exponent
    1/4 minimises the paper's bound on the balanced error. Mostly with deferred weights: see ldam-drw.

    Breaks: In general it is not consistent for the balanced error. On a head whose logits are no cosines the network
    meets any margin by growing its logits.

    Paper and code: The scale s = 30 is in their code, not in the paper. By its authors 10 works about as well, and
    max_margin is the knob to tune (0.5 for small data, 0.3 for iNaturalist).
    """
    stages = one_stage(
        lambda counts: losses.LDAMLoss(counts, max_margin=max_margin, scale=scale),
        head="cosine",
    )
    return Method(stages, cited("cao2019learning"))


def ldam_drw(
    *,
    max_margin: NonNegativeFloat = 0.5,
    scale: PositiveFloat = 30.0,
    at: UnitFloat = START,
    class_weight: ClassWeight = "effective",
) -> Method:
    """LDAM with deferred re-weighting: the paper's whole method.

    loss = w_y (LDAM's), w = 1 until progress `at`, then effective-number weights (beta 0.9999); sum / sum of the
    batch's weights.

    Cao et al. 2019, algorithm 1.

    Works: As ldam, with enough epochs after `at` for the weights to move the classifier. In the Bag of Tricks (Zhang et
    al. 2021, CIFAR-10 at ratio 100) its error is 22.3 %, that of ldam 26.3 % and that of ce 28.1 %.

    Breaks: A class of a few rows has the largest margin and the largest weight, so these rows can dominate a batch.

    Paper and code: The paper's text has weights 1/n_y in the second part (`class_weight="inverse"`); effective numbers
    are its authors' code and our default. The losses are divided by the sum of the batch's weights in both.
    """
    stages = one_stage(
        lambda counts: losses.LDAMLoss(
            counts,
            max_margin=max_margin,
            scale=scale,
            class_weight=class_weight,
            reweight=switch(at, 0.0, 1.0),
        ),
        head="cosine",
    )
    return Method(stages, cited("cao2019learning"), prior=weighted(class_weight, at))
