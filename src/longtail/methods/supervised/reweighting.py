"""Re-weighting from the first epoch on: the class-balanced losses."""

from __future__ import annotations

from longtail import losses
from longtail.catalogue.implied import effective
from longtail.catalogue.method import Method, one_stage
from longtail.catalogue.references import cited
from longtail.facts.class_weights import BETA, Beta
from longtail.facts.knobs import NonNegativeFloat
from longtail.models import heads

OWN = {"lr_per": "step", "warmup_from": "zero"}
"""Its paper's code: the learning rate climbs from 0, step by step, over 5 epochs."""


def cb_ce(*, beta: Beta = BETA) -> Method:
    """Class-balanced softmax cross-entropy: every example weighs the inverse effective number of its class.

    loss = -w_y log softmax(z)_y, w_j proportional to (1 - beta) / (1 - beta^n_j), sum_j w_j = C; sum / batch size.

    Cui et al. 2019, section 4.1.

    Works: The imbalance is moderate, or beta is tuned: near 0 the weights are equal, and for n_j far below
    1 / (1 - beta) they are inverse frequencies.

    Breaks: Weighted from the start it often hurts the features. In the Bag of Tricks (Zhang et al. 2021, CIFAR-10 at
    ratio 100) its error is 29.5 %, that of ce 28.1 %, and with the same weights at the end only 25.4 %; see ce-drw.

    Paper and code: They agree. LDAM's code divides by the sum of the batch's weights instead of the batch size.
    """
    stages = one_stage(lambda counts: losses.ClassBalancedLoss(counts, beta=beta, base="softmax"))
    return Method(stages, cited("cui2019class"), own=OWN, prior=effective(beta))


def cb_focal(*, beta: Beta = BETA, gamma: NonNegativeFloat = 1.0) -> Method:
    """Class-balanced focal loss: the sigmoid focal loss, one weight on all C terms of an example.

    loss = w_y sum_j -(1 - p_j^t)^gamma log p_j^t, p^t = s(z) for the class and 1 - s(z) for the others; sum /
    batch size.

    Cui et al. 2019, section 4.3. As there, the head's bias starts at -log(C - 1) and is exempt from weight decay.

    Works: Most of the C terms of an example are easy negatives, and beta and gamma are tuned.

    Breaks: One setting for all data: the paper searches gamma in 0.5, 1 and 2 and beta in 0.9 to 0.9999, and its best
    differ by data set and ratio. Weighted from the start, as cb-ce.

    Paper and code: The same formula; the code's form of it overflows for very negative logits, ours does not. What
    LDAM's code calls class-balanced focal is another loss: softmax, with the weight inside the modulator (focal-drw).
    """
    stages = one_stage(
        lambda counts: losses.ClassBalancedLoss(counts, beta=beta, base="focal", gamma=gamma),
        prepare=heads.prior_bias,
        no_decay=("head.bias",),
    )
    return Method(stages, cited("cui2019class"), own=OWN, prior=effective(beta))
