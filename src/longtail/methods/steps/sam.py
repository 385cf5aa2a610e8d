"""Sharpness-aware minimisation over any base."""

from __future__ import annotations

from typing import Annotated

from longtail.catalogue.compose import PLAIN, BaseMethod, corrected, with_update
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.facts.knobs import NonNegative
from longtail.updates import SAM

Base = Annotated[Method, BaseMethod(slots=("update",), task=None)]


def sam(*, base: Base = PLAIN, rho: NonNegative = 0.05, adaptive: bool = False) -> Method:
    """SAM, sharpness-aware minimisation: every step descends with the gradient at the worst point nearby.

    loss = that of `base` at w + e, e = rho g / (||g|| + 1e-12), g its gradient at w; the step is taken from w.
    adaptive: e = rho w^2 g / (|| |w| g || + 1e-12). rho = 0 is `base`.

    Two passes a step, so about twice the time. Both have the same examples, dropout and instance weights, and batch
    norms record their statistics in the first alone; over two stages both are trained so.

    Foret et al. 2021, eq. 2-3; rho is 0.05 there, searched in 0.01 to 0.5.

    Works: As a correction over a method that knows class sizes, such as `sam(base="ldam-drw")`, where the network fits
    its training rows too closely and the double time is affordable.

    Breaks: Class sizes play no part in it. For the authors of ImbSAM (CIFAR-100 at ratio 100) it raises the accuracy
    over plain steps from 47.6 to 48.9 %, and that on few-shot classes falls from 13.5 to 12.4 %.

    Paper and code: Weight decay is the optimiser's and does not move e, as in the usual PyTorch code; in the authors'
    (JAX) it is part of the loss and does, and the gradient is clipped to norm 5 afterwards. adaptive=True is ASAM
    without the offset of 0.01 that Kwon et al. 2021 add to |w|, as in the usual PyTorch code; it wants a rho about ten
    times larger.
    """
    step = with_update(lambda rows: SAM(rho, adaptive=adaptive))
    return corrected(base, "update", step, reference=cited("foret2021sharpness"))
