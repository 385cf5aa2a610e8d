"""Learning to Reweight over any supervised base."""

from __future__ import annotations

from longtail.catalogue.compose import PLAIN
from longtail.catalogue.meta_set import HEAD, Base, Every, MetaBatch, PerClass, with_meta_set
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.updates import LearningToReweight


def l2rw(
    *,
    base: Base = PLAIN,
    per_class: PerClass = 10,
    meta_batch: MetaBatch = 100,
    every: Every = 1,
    last_layer: bool = False,
) -> Method:
    """Learning to Reweight: an example weighs as much as its gradient agrees with that of a small balanced meta set.

    loss = mean of w_i l_i, w_i = B v_i / sum_j v_j, v_i = max(<grad l_i, grad M>, 0) over the batch of B, l the losses
    of `base`, M the cross-entropy of the scores on a batch of the meta set.

    The meta set is min(per_class, n_j // 2) rows of each class, taken out of the training rows; a class of one row
    lends it and keeps it. Batches of meta_batch rows are drawn from it, every class alike, with replacement. Class
    counts of `base` are those of the rows that stay. Weights are divided by the batch, not by the base's class weights.

    A step has the passes of 2.7 plain ones where the meta batch is as large as the batch (two forward and backward, and
    the derivative of the losses along the meta gradient).
    `last_layer=True` compares the gradients of the classifier alone and costs one forward pass on the meta batch;
    every=k weighs only every k-th step and takes the others with weights 1. Worth it where some rows are surely right
    and others are not: `updates.LearningToReweight` in a loop of your own takes those as its meta set.

    Ren et al. 2018, algorithm 1.

    Works: A meta set that is clean and balanced, beside a batch with wrong labels or too many rows of frequent classes.

    Breaks: Most v_i are 0 for small batches, and then the step follows a few rows. With wrong labels in the training
    rows the meta set has them, too, since it is taken from these. Classes of one row judge themselves.

    Paper and code: They agree on a first step of size 1 from weights 0; a common factor cancels, so that here it has
    the learning rates of the parameter groups. They use 100 clean images in all, in each of their batches of 100.
    """
    return with_meta_set(
        base,
        lambda counts: LearningToReweight(layer=HEAD if last_layer else None, every=every),
        per_class=per_class,
        meta_batch=meta_batch,
        last_layer=last_layer,
        every=every,
        reference=cited("ren2018learning"),
    )
