"""The multi-class hinge with margins of cosines, per class or one for all."""

from __future__ import annotations

from longtail import losses
from longtail.catalogue.method import COSINE, MakeStages, Method, one_stage
from longtail.catalogue.references import cited
from longtail.facts.knobs import NonNegativeFloat, PositiveFloat, UnitStart
from longtail.methods.supervised.deferred import START, balanced_from, drawn_prior

SCALE = 1.0
"""A factor of the whole loss: it acts as the learning rate does, beside the weight decay."""


def ldam_hg(*, max_margin: NonNegativeFloat = 0.5, scale: PositiveFloat = SCALE) -> Method:
    """LDAM-HG: the hinge with LDAM's margins, of which the LDAM loss is the smooth form.

    loss = s max(max_{j != y} z_j - z_y + Delta_y, 0), Delta of ldam, z cosines.

    Cao et al. 2019, section 3.2.

    Works: Few classes. Examples that lead by more than their margin add nothing to the gradient, so the others decide.

    Breaks: By the paper it is hard to optimise with 100 classes; it is run there on CIFAR-10 alone. Only the true class
    and the runner-up have a gradient. It has no probability model: softmax(s z) ranks and does not estimate.

    Paper and code: It is not in the released code, and the paper does not say how it scales or normalises the logits;
    the cosines of ldam are ours, and `scale` multiplies the loss.
    """
    return Method(_stages(max_margin, scale), cited("cao2019learning"), slots=COSINE)


def ldam_hg_drs(*, max_margin: NonNegativeFloat = 0.5, scale: PositiveFloat = SCALE, at: UnitStart = START) -> Method:
    """LDAM-HG with deferred re-sampling: class-balanced draws from progress `at` on.

    loss = s max(max_{j != y} z_j - z_y + Delta_y, 0), Delta of ldam; P(class j) = n_j / N until `at`, then 1 / C.

    Cao et al. 2019, section 4 (LDAM-HG-DRS).

    Works: As ldam-hg and ce-drs. In the paper (CIFAR-10 at ratio 100) its error is 24.4 %, that of hg-drs 27.2 % and
    that of ldam-drw 23.0 %.

    Breaks: As ldam-hg. An example that leads by its margin has no gradient, however often it is drawn.

    Paper and code: It is not in the released code, whose sampler is built and never used; see ldam-hg.
    """
    return Method(_stages(max_margin, scale, at=at), cited("cao2019learning"), slots=COSINE, prior=drawn_prior(at))


def hg_drs(*, margin: NonNegativeFloat = 0.5, scale: PositiveFloat = SCALE, at: UnitStart = START) -> Method:
    """HG-DRS: the hinge with one margin for all classes, with deferred re-sampling.

    loss = s max(max_{j != y} z_j - z_y + m, 0), z cosines; P(class j) = n_j / N until progress `at`, then 1 / C.

    Cao et al. 2019, section 4 (HG-DRS).

    Works: As the ablation of ldam-hg-drs: what differs is the margins alone.

    Breaks: As ldam-hg. In the paper (CIFAR-10 at ratio 100) its error is 27.2 %, that of ce-drs 25.5 %.

    Paper and code: It is not in the released code; see ldam-hg. The paper does not say what its margin is.
    """
    return Method(
        _stages(margin, scale, exponent=0.0, at=at), cited("cao2019learning"), slots=COSINE, prior=drawn_prior(at)
    )


def _stages(margin: float, scale: float, *, exponent: float = 0.25, at: float | None = None) -> MakeStages:
    """The stages with this margin for the rarest class, and for all of them where the exponent is 0."""
    return one_stage(
        lambda counts: losses.LDAMHingeLoss(counts, max_margin=margin, scale=scale, exponent=exponent),
        head="cosine",
        draw=None if at is None else balanced_from(at),
    )
