"""Meta-Weight-Net over any supervised base."""

from __future__ import annotations

from typing import Annotated

from longtail.catalogue.compose import PLAIN
from longtail.catalogue.meta_set import HEAD, Base, Every, MetaBatch, PerClass, with_meta_set
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.facts.knobs import NonNegativeFloat, PositiveFloat, Range
from longtail.updates import MetaWeightNet

Width = Annotated[int, Range(1, integer=True)]


def mwn(
    *,
    base: Base = PLAIN,
    per_class: PerClass = 10,
    meta_batch: MetaBatch = 100,
    hidden: Width = 100,
    lr: PositiveFloat = 1e-3,
    decay: NonNegativeFloat = 1e-4,
    normalized: bool = True,
    every: Every = 1,
    last_layer: bool = False,
) -> Method:
    """Meta-Weight-Net: a small net makes weights of losses and learns them on a balanced meta set.

    loss = mean of w_i l_i, w_i = V(l_i) / mean of V(l), V(l) = sigmoid(W2 relu(W1 l + b1) + b2), l the losses of
    `base`; V descends M(theta - lr grad of that mean), M the cross-entropy of the scores on a batch of the meta set.

    The meta set and its batches are those of l2rw. The look-ahead is a plain gradient step with the learning rates of
    the parameter groups, without momentum and weight decay. Its pass on the meta batch normalises by that batch and
    moves no statistics of batch norms, which record the training batch once. V has `hidden` units; `lr` and `decay` are
    those of its Adam. What it has learnt is drawn as weight-net.svg in the run's folder, and the average weight of
    each class as weights.svg. Weights are divided by the batch, not by the base's class weights.

    A step has the passes of 3.3 plain ones (l2rw, and the gradient of the look-ahead). every=k lets V learn in every
    k-th step and costs little more than plain training for a large k; `last_layer=True` looks ahead by the classifier
    alone, for one forward pass on the meta batch. Worth it where it is not known which losses deserve more weight, and
    rows for a meta set can be spared.

    Shu et al. 2019, algorithm 1.

    Works: Losses that separate wrong from right labels, or rare from frequent classes, early in the training: V is
    free to fall or to rise.

    Breaks: V sees the loss alone, so that a hard rare example and a wrong label weigh the same. Wrong labels in the
    meta set, which is taken from the training rows, turn V around: `updates.MetaWeightNet` in a loop of your own takes
    rows that are surely right. With a learning rate near 0 the meta gradient vanishes and Adam follows its noise.

    Paper and code: Their two scripts differ. For wrong labels: weights not normalised (`normalized=False`), Adam at
    1e-3 with weight decay 1e-4, 1000 clean meta images. For long tails: weights divided by their sum, SGD with Nesterov
    momentum at 1e-5, 10 meta images a class. The default is normalised weights with Adam. They take the plain
    cross-entropy of the present batch as the input of V, here it is the loss of `base`.
    """
    return with_meta_set(
        base,
        lambda counts: MetaWeightNet(
            hidden=hidden,
            lr=lr,
            weight_decay=decay,
            normalized=normalized,
            layer=HEAD if last_layer else None,
            every=every,
        ),
        per_class=per_class,
        meta_batch=meta_batch,
        last_layer=last_layer,
        every=every,
        reference=cited("shu2019meta"),
    )
