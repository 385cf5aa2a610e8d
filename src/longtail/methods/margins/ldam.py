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

    Cao et al. 2019, eq. 12-13. The scale s = 30 is in their code, not in the paper; max_margin is the knob to
    tune (0.5 for small data, 0.3 for iNaturalist).
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

    Cao et al. 2019, algorithm 1. The paper's text has weights 1/n_y in the second part
    (`class_weight="inverse"`); effective numbers are its authors' code and our default.
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
