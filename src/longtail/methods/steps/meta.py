"""META, a class weight and a learned residual, over any supervised base."""

from __future__ import annotations

from torch import Tensor

from longtail.catalogue.compose import PLAIN
from longtail.catalogue.implied import effective, times
from longtail.catalogue.meta_set import HEAD, Base, Every, MetaBatch, PerClass, with_meta_set
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.facts.class_weights import BETA, Beta, effective_number
from longtail.facts.knobs import PositiveFloat, UnitStart
from longtail.updates import MetaResidual

START = 0.8
"""Of the residual and the class weights: epoch 160 of 200."""
BALANCED = "shares"


def meta(
    *,
    base: Base = PLAIN,
    beta: Beta = BETA,
    step: PositiveFloat = 0.01,
    start: UnitStart = START,
    per_class: PerClass = 10,
    meta_batch: MetaBatch = 100,
    every: Every = 1,
    last_layer: bool = False,
) -> Method:
    """META: deferred class weights, and on each of them a residual learned on a balanced meta set.

    loss = mean of w_i l_i, w_i = c_y + e_i, c_j proportional to (1 - beta) / (1 - beta^n_j), sum_j c_j = C, and
    e_i = -step dM(theta - lr grad sum_i w_i l_i) / dw_i at e = 0, l the losses of `base`, M the cross-entropy of the
    scores on a batch of the meta set. Before progress `start` w_i = 1.

    The meta set, its batches and the look-ahead are those of l2rw and mwn. Over a base that re-balances its classes
    itself, such as ldam-drw, c = 1: the residual alone is added to its weights. The paper's LDAM is meta(base="ldam").
    Weights are divided by the batch, neither clipped nor normalised.

    From `start` on a step has the passes of 3.3 plain ones, as in mwn; every=k adds the residual in every k-th step
    alone, `last_layer=True` computes it from the classifier for one forward pass on the meta batch. Worth it beside
    ce-drw only where a larger `step`, chosen on validation rows, is shown to help.

    Jamal et al. 2020, algorithm 1.

    Works: As ce-drw does, of which it is the correction: classes whose sizes say too little about which examples the
    test data are like.

    Breaks: e_i is step times lr times an inner product of two gradients: 1e-5 of it at the learning rate 1e-3 of the
    deferred part, so that with the released numbers it is near its class weights alone.

    Paper and code: The code steps by 0.01, by a look-ahead on the sum and a real step on the mean, from epoch 160 of
    200; it has the variant with cross-entropy alone. 10 images of each class leave the training rows in both.
    """
    balanced = base.refuses_slots(BALANCED) is not None
    layer = HEAD if last_layer else None

    def weights(counts: Tensor) -> MetaResidual:
        c = None if balanced else effective_number(counts, beta)
        return MetaResidual(c, step=step, start=start, layer=layer, every=every)

    return with_meta_set(
        base,
        weights,
        per_class=per_class,
        meta_batch=meta_batch,
        last_layer=last_layer,
        every=every,
        eager="steps before `start` do not look ahead" if start > 0 else "",
        prior=None if balanced or start >= 1 else times(base.prior, effective(beta)),
        reference=cited("jamal2020rethinking"),
    )
