"""RECOVER over any supervised base: hard examples weigh more, by two gradients a step."""

from __future__ import annotations

from typing import Annotated

from longtail.catalogue.compose import PLAIN, BaseMethod, corrected, with_update
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.facts.knobs import Knob
from longtail.facts.schedules import Switch
from longtail.updates.recover import ANY, LAM, RECOVER, SHARE

Base = Annotated[Method, BaseMethod(slots=("weights", "update"))]
TWO_STAGES = Switch(0.8, 200.0, 5.0)
"""Nearly plain training first, weights from the first drop of the learning rate on."""


def recover(
    *,
    base: Base = PLAIN,
    lam: Annotated[Knob, LAM] = TWO_STAGES,
    a: Annotated[Knob, SHARE] = 0.9,
    restart: Annotated[Knob, ANY] = 0.0,
    clamp: bool = False,
) -> Method:
    """RECOVER: the worst case over distributions near the data, by averages that follow the network's parameters.

    loss = lambda log E exp(l / lambda), whose gradient is estimated by lambda v / u:
    u <- g(w) + (1 - a) (u - g(w_old)), v the same for the gradients of g; g(w) = batch mean of exp(l / lambda), l the
    losses of `base`, w_old the parameters before the latest step.

    It has the objective of absgd; u and v are corrected for the step that was made in between, which takes a second
    pass over the batch. a = 1 is a step with the batch's own weights, as absgd with gamma = 1. u and v start anew where
    lambda, a or `restart` (a schedule) changes, and where the estimate of u loses its sign. Batch norms record the
    pass at w.

    Cost: two forward and two backward passes a step, twice the time of `base`, and three more copies of the parameters.

    Qi et al. 2021. Theirs: lambda 200 and then 5, a 0.8 or 0.9, learning rate 0.5 or 0.1 without momentum, batches of
    128, 120 epochs.

    Works: lambda large enough that no example has most of a batch's weight, clean labels, and a learning rate small
    enough that the two passes of a step agree; worth its price where absgd's weights are too noisy for the batch size.

    Breaks: Wrong labels are weighed up. Dropout and augmentation are the same in both passes, but a momentum of the
    optimiser averages the estimate a second time. For small lambda u loses its sign often, and each restart is a plain
    step of the batch.

    Paper and code: The released code multiplies v by min(exp(max l / lambda), lambda) where exp(max l / lambda) is due,
    which the paper does not say (`clamp=True`), overflows for large losses, and keeps u in the graph; ours stores
    logarithms. When their lambda changes is not known to us: by default with the first drop of the learning rate.
    """
    step = with_update(lambda rows: RECOVER(lam, a, restart=restart, clamp=clamp))
    return corrected(base, ("weights", "update"), step, reference=cited("qi2021online"))
