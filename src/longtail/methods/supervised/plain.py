"""Plain training: the baselines that ignore class sizes."""

from __future__ import annotations

from longtail import losses
from longtail.catalogue.method import Method, one_stage
from longtail.catalogue.references import cited
from longtail.facts.knobs import NonNegativeFloat
from longtail.models import heads

PLAIN = one_stage(lambda counts: losses.CrossEntropyLoss(), spec="ce")
"""The training of `ce`, which post-hoc methods share: one text, one training."""


def ce() -> Method:
    """Cross-entropy: empirical risk minimisation, the baseline of every comparison.

    loss = -log softmax(z)_y, mean over the batch.

    Works when the classes are balanced or accuracy is what counts; on a long tail the rare classes' recall falls.
    """
    return Method(PLAIN, cited("good1952rational"))


def oracle() -> Method:
    """Cross-entropy on the true labels of all training rows: the aim of methods that lack labels, for context only.

    loss = -log softmax(z)_y, mean over the batch, y the true label of labelled and unlabelled rows alike.

    Only for data whose labels were hidden (--labeled, --ambiguity): a row beside the others, outside the verdict.
    """
    stages = one_stage(lambda counts: losses.CrossEntropyLoss())
    return Method(stages, cited("good1952rational"), needs_truth=True, slots=frozenset({"update"}))


def sigmoid_ce() -> Method:
    """C binary cross-entropies, one per class, summed over classes.

    loss = sum_j -[j = y] log s(z_j) - [j != y] log(1 - s(z_j)), s the sigmoid, mean over the batch.

    As the class-balanced paper trains it: the head's bias starts at -log(C - 1), so that every class starts at
    probability 1/C, and is exempt from weight decay.
    """
    stages = one_stage(
        lambda counts: losses.ClassBalancedLoss(counts, beta=0.0, base="sigmoid"),
        prepare=heads.prior_bias,
        no_decay=("head.bias",),
    )
    return Method(stages, cited("cui2019class"))


def focal(*, gamma: NonNegativeFloat = 2.0) -> Method:
    """Focal loss, softmax form: well-classified examples weigh less.

    loss = -(1 - p_y)^gamma log p_y, mean over the batch; gamma = 0 is ce.

    Lin et al. 2017, eq. 4, with softmax in place of their sigmoid, as long-tailed benchmarks use it. It ignores
    class sizes: on a long tail alone it does little. LDAM's code uses gamma = 1.
    """
    return Method(one_stage(lambda counts: losses.FocalLoss(gamma=gamma)), cited("lin2017focal"))
