"""Cross-entropy with softer demands: smoothed labels, and denominators without rare classes."""

from __future__ import annotations

from longtail import losses
from longtail.catalogue.method import Method, one_stage
from longtail.catalogue.references import cited
from longtail.facts.knobs import PositiveFloat, UnitFloat
from longtail.losses.smoothing import Shape


def label_smoothing(*, eps: UnitFloat = 0.1) -> Method:
    """Label smoothing: a part of every label is spread over all classes.

    loss = -(1 - eps) log p_y - (eps / C) sum_j log p_j, p = softmax(z), mean over the batch; eps = 0 is ce.

    Szegedy et al. 2016, section 7. Deferred class weights: `drw(base="label-smoothing")`.

    Works: Against over-confidence: the best logits are finite, and probabilities are less extreme. In the Bag of Tricks
    (Zhang et al. 2021, CIFAR-10 at ratio 100) its error is 27.2 %, that of ce 28.1 %; a further run there has 28.4 %.

    Breaks: It ignores class sizes. Probabilities of a network that is right are biased towards equal ones, by eps.

    Paper and code: They agree; eps = 0.1 in the paper and in the Bag of Tricks.
    """
    # CrossEntropyLoss(label_smoothing=eps) weighs each term j of the sum by its own class weight once drw sets one
    stages = one_stage(lambda counts: losses.LabelAwareSmoothingLoss(counts, head=eps, tail=eps, zero_count="mask"))
    return Method(stages, cited("szegedy2016rethinking"))


def label_aware_smoothing(
    *, head: UnitFloat = 0.4, tail: UnitFloat = 0.1, shape: Shape = "concave", power: PositiveFloat = 2.0
) -> Method:
    """Label-aware smoothing: the larger the class, the more its labels are smoothed.

    loss = -(1 - e_y) log p_y - (e_y / C) sum_j log p_j, e_j = tail + (head - tail) sin(pi u_j / 2); mean over the
    batch, p = softmax(z), u_j = (n_j - n_min) / (n_max - n_min), and 1 where all counts are equal.

    shape="linear": e = tail + (head - tail) u; "convex": head + (head - tail) sin(3 pi / 2 + pi u / 2); "exp": tail +
    (head - tail) u^power. Deferred class weights: `drw(base="label-aware-smoothing")`.

    Zhong et al. 2021 (MiSLAS), there for the second stage of a decoupled training.

    Works: In their second stage, a classifier on frozen features of mixup training: probabilities of frequent classes,
    of which a network is most confident, become milder.

    Breaks: By itself it is no re-balancing: in the Bag of Tricks (Zhang et al. 2021) its errors are 27.5 % against 28.1
    % of ce on CIFAR-10 at ratio 100, and 62.3 % against 62.3 % on CIFAR-100.

    Paper and code: head and tail are tuned: 0.4 and 0.1 for CIFAR-100 at ratio 100, our default, 0.3 and 0 for
    CIFAR-10. Only the concave shape is used by their configurations; "exp" has no default of `power` there, 2 is ours,
    and equal counts divide by 0.
    """
    stages = one_stage(
        lambda counts: losses.LabelAwareSmoothingLoss(counts, head=head, tail=tail, shape=shape, power=power)
    )
    return Method(stages, cited("zhong2021improving"))


def seql(*, gamma: UnitFloat = 0.9, rare: PositiveFloat = 0.5) -> Method:
    """Softmax equalisation (SEQL): rare classes are left out of the denominators of other classes, at random.

    loss = -log( exp(z_y) / sum_k w_k exp(z_k) ), w_k = 1 - b_k [n_k / N < rare / C] [k != y], mean over the batch;
    b_k is 1 with probability gamma, drawn anew for every example and class.

    Tan et al. 2020; gamma = 1 draws nothing. Deferred class weights: `drw(base="seql")`.

    Works: Many classes, of which some are so rare that they are mostly negatives: rows of other classes do not push
    their scores down. In the Bag of Tricks (Zhang et al. 2021, CIFAR-100 at ratio 100) its error is 59.5 %, that of ce
    62.3 %.

    Breaks: Where no class has less than `rare` of an equal share it is ce. The scores of rare classes are not compared
    with those of others in training, so that they can be too high.

    Paper and code: The threshold of the code is a share of all rows, 0.005 for CIFAR-100: half of an equal share, our
    default for any C. Their form exponentiates the logits and overflows for large ones; ours does not.
    """
    stages = one_stage(lambda counts: losses.SoftmaxEqualizationLoss(counts, gamma=gamma, rare=rare))
    return Method(stages, cited("tan2020equalization"))
