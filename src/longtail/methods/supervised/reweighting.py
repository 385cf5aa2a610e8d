"""Re-weighting: class weights from the first epoch on, the class-balanced losses, and weights by influence."""

from __future__ import annotations

from longtail import losses
from longtail.catalogue.implied import effective, weighted
from longtail.catalogue.method import Method, one_stage
from longtail.catalogue.references import cited
from longtail.facts.class_weights import BETA, Beta
from longtail.facts.knobs import NonNegativeFloat, PositiveFloat, UnitStart
from longtail.facts.schedules import switch
from longtail.methods.supervised.deferred import START
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
        prepare=lambda network, rows: heads.prior_bias(network),
        no_decay=("head.bias",),
    )
    return Method(stages, cited("cui2019class"), own=OWN, prior=effective(beta))


def inverse_ce() -> Method:
    """Cross-entropy weighted by inverse class frequency from the first epoch on.

    loss = -w_y log softmax(z)_y, w_j proportional to 1 / n_j, sum_j w_j = C; sum / sum of the batch's weights.

    The cost-sensitive cross-entropy of Zhang et al. 2021, and "RW" of Cao et al. 2019. Its deferred twin is
    `ce-drw(class_weight="inverse")`.

    Works: The imbalance is moderate: all classes count alike in the mean that is minimised.

    Breaks: At a ratio of 100 a rare row weighs a hundred times as much as a frequent one, and the features suffer. In
    the Bag of Tricks (CIFAR-100 at ratio 100) its error is 67.7 %, that of ce 62.3 %, and with the same weights at the
    end 58.4 %.

    Paper and code: LDAM's text scales the weights to a mean of 1 in every batch, which is the same after the division.
    """
    return _weighted("inverse")


def sqrt_ce() -> Method:
    """Cross-entropy weighted by the square root of the inverse class frequency from the first epoch on.

    loss = -w_y log softmax(z)_y, w_j proportional to n_j^(-1/2), sum_j w_j = C; sum / sum of the batch's weights.

    Zhang et al. 2021, as square-root re-weighting. Its deferred twin is `ce-drw(class_weight="sqrt")`.

    Works: As a compromise: weights differ by the square root of the ratio, 10 at a ratio of 100. In the Bag of Tricks
    (CIFAR-100 at ratio 100) its error is 61.6 %, those of ce 62.3 % and inverse-ce 67.7 %.

    Breaks: Half of the imbalance stays, on a logarithmic scale.

    Paper and code: They agree. For CIFAR-10 at ratio 100 the table prints the error of inverse-ce, perhaps by mistake.
    """
    return _weighted("sqrt")


def influence_balanced(
    *, alpha: PositiveFloat = 1000.0, gamma: NonNegativeFloat = 0.0, at: UnitStart = START, detach: bool = True
) -> Method:
    """Influence-balanced loss: plain training, then examples weigh the inverse of their influence on the classifier.

    loss = c (1 - e^-c)^gamma alpha / (G H + 0.001), c = -w_y log p_y, from progress `at` on, before -log p_y; mean over
    the batch. p = softmax(z), G = sum_k |p_k - [k = y]|, H = sum_d |h_d|, h the features, w_j proportional to 1 / n_j,
    sum C.

    Park et al. 2021. gamma = 0 is IB, gamma = 1 its combination with the focal loss (IB + focal). The deferral is that
    of the Bag of Tricks (Zhang et al. 2021), at the first drop of the learning rate.

    Works: After plain training frequent classes over-fit near the boundary: rows with a large gradient there weigh
    less. In the Bag of Tricks (CIFAR-10 at ratio 100) its error is 23.3 %, that of ce 28.1 %.

    Breaks: It needs a small learning rate. The gradient of a row's loss at the classifier has an L1 norm of alpha w_y
    however well the row is fitted, so steps do not shrink as the network learns, and at the learning rate of plain
    training they can destroy it: begin at a drop of a hundredfold, or lower alpha. Wrong labels have a large influence
    and weigh little, and so do rare rows that are not learnt yet, but for w.

    Paper and code: Their code begins at half of 200 epochs and divides the learning rate by 100 there, as the recipe
    for CIFAR does at 0.8. In both released codes the gradient also passes through G and H; the paper treats the factor
    as a weight, our default (`detach=False` is theirs). alpha is 1000 in both, and the class weight is inside the focal
    modulator.
    """
    late = switch(at, 0.0, 1.0)
    stages = one_stage(
        lambda counts: losses.InfluenceBalancedLoss(
            counts, alpha=alpha, gamma=gamma, detach=detach, balance=late, class_weight="inverse", reweight=late
        ),
    )
    return Method(stages, cited("park2021influence"), prior=weighted("inverse", at))


def _weighted(name: str) -> Method:
    stages = one_stage(lambda counts: losses.CrossEntropyLoss(counts, class_weight=name))
    return Method(stages, cited("zhang2021bag"), prior=weighted(name))
