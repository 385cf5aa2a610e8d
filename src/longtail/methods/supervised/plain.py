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

    Works: Classes of like size, or accuracy on data with the class shares of the training rows.

    Breaks: On a long tail the recall of rare classes falls: they are a small share of the mean that is minimised.

    Paper and code: No released code is needed: every library has it. Published errors depend on the recipe: 27.2 to
    29.6 % on CIFAR-10 at ratio 100 without mixup.
    """
    return Method(PLAIN, cited("good1952rational"))


def oracle() -> Method:
    """Cross-entropy on the true labels of all training rows: the aim of methods that lack labels, for context only.

    loss = -log softmax(z)_y, mean over the batch, y the true label of rows whose label was hidden or made wrong.

    A row beside the others, outside the verdict.

    Works: Labels were hidden or made wrong on purpose (--labeled, --ambiguity, --noise): the distance to this row is
    what that cost.

    Breaks: Data whose true labels are unknown are refused. On a long tail it has the weakness of ce.

    Paper and code: No paper of its own, no released code.
    """
    stages = one_stage(lambda counts: losses.CrossEntropyLoss())
    return Method(stages, cited("good1952rational"), needs_truth=True, slots=frozenset({"update"}))


def sigmoid_ce() -> Method:
    """C binary cross-entropies, one per class, summed over classes.

    loss = sum_j -[j = y] log s(z_j) - [j != y] log(1 - s(z_j)), s the sigmoid, mean over the batch.

    As the class-balanced paper (Cui et al. 2019) trains it: the head's bias starts at -log(C - 1), so that every class
    starts at probability 1/C, and is exempt from weight decay.

    Works: As the plain counterpart of the class-balanced sigmoid losses. No term has the score of a second class.

    Breaks: It ignores class sizes: the rarer a class, the more negatives it has for each positive.

    Paper and code: The released code is for TensorFlow; the start of the bias and its exemption are read there.
    """
    stages = one_stage(
        lambda counts: losses.ClassBalancedLoss(counts, beta=0.0, base="sigmoid"),
        prepare=lambda network, rows: heads.prior_bias(network),
        no_decay=("head.bias",),
    )
    return Method(stages, cited("cui2019class"))


def focal(*, gamma: NonNegativeFloat = 2.0) -> Method:
    """Focal loss, softmax form: well-classified examples weigh less.

    loss = -(1 - p_y)^gamma log p_y, mean over the batch; gamma = 0 is ce.

    Lin et al. 2017, eq. 4.

    Works: Many easy examples would otherwise make up most of the loss.

    Breaks: It ignores class sizes: on a long tail alone it does little. For gamma > 0 it is not a proper loss, so
    softmax(z) does not estimate the class probabilities.

    Paper and code: The paper has one sigmoid per class, for detection; this is the softmax form of LDAM's code, which
    uses gamma = 1. The code of the Bag of Tricks (Zhang et al. 2021) has the sigmoid form with gamma = 2.
    """
    return Method(one_stage(lambda counts: losses.FocalLoss(gamma=gamma)), cited("lin2017focal"))
