"""CDR over any base: only the parameters that matter most to the batch's loss follow its gradient."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from longtail.catalogue.compose import PLAIN, BaseMethod, with_update
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.data import TrainingSet
from longtail.engine import Built, Stage
from longtail.facts.learner import Learner
from longtail.methods.noisy.forgetting import Ramp, Rate, by_stage, forgotten, late
from longtail.updates import CDR
from longtail.updates.cdr import DECAY

Base = Annotated[Method, BaseMethod(slots=("update",), task=None)]
Decay = Annotated[str, DECAY]


def cdr(
    *, base: Base = PLAIN, rate: Rate = 0.2, ramp: Ramp = 0.0, scaled: bool = True, decay: Decay = "optimizer"
) -> Method:
    """CDR, robust early-learning: only the critical parameters follow the gradient, the others decay; noisy labels.

    loss = that of `base`; its gradient becomes (1 - r) g at the share 1 - r of the numbers in all weights that have the
    largest |w g|, ranked together, and 0 at the others; r = `rate`, or rising linearly to it over the share `ramp` of
    the epochs.

    Weights are the parameters of two dimensions or more; biases and norms take the plain step. scaled=False leaves the
    gradient that is kept as it is. decay="optimizer": the optimiser's weight decay and momentum move all parameters.
    decay="sign": w <- w - lr weight_decay sign(w) for all in place of the optimiser's decay, and nothing else for those
    that are not critical. rate = 0 is `base`, bit for bit, but for that decay. Over two stages both are trained so.

    Xia et al. 2021.

    Works: Where `rate` is the share of wrong labels: the default is our choice, see co-teaching for an unknown one. The
    authors' reason: few parameters suffice to fit right labels, and the others fit wrong ones. They stop early, by the
    accuracy on rows with noisy labels that they keep out of training.

    Breaks: Class sizes play no part in it: what is critical is critical to the batch, and so to its frequent classes.
    It was made for early stopping, and the recipe does not stop.

    Paper and code: The default is the code's step: the gradient that is kept has the factor 1 - r, and the weight decay
    is the optimiser's L2 (0.001); in the paper it is of sign type (`decay="sign"`). The code computes a ramp over a
    tenth of the epochs and overwrites it by the constant, which is our default (`ramp=0.1` uses it). It passes every
    batch twice through the network, so that batch norms record it twice; here once. Parameters of 3 or 5 dimensions,
    which its networks do not have, are weights here. The recipe replaces theirs: for CIFAR, in the code, a ResNet-50,
    learning rate 0.01 with drops at epochs 40 and 80 of 200, momentum 0.9, batches of 64.
    """

    def make(stage: Stage, data: TrainingSet, previous: Learner | None) -> Built:
        step = with_update(lambda rows: CDR(forgotten(stage, rate, ramp), scaled=scaled, decay=decay))
        return step(stage.build(data, previous), data)

    return replace(
        base,
        stages=by_stage(base, make),
        taken=base.taken | {"update"},
        late=late(rate, ramp),
        reference=cited("xia2021robust"),
    )
