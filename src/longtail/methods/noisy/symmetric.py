"""Symmetric cross-entropy."""

from __future__ import annotations

from torch import Tensor

from longtail import losses
from longtail.catalogue.method import Method, one_stage
from longtail.catalogue.references import cited
from longtail.facts.knobs import NonNegativeFloat
from longtail.functional.noise_robust import FLOOR, LABEL_FLOOR
from longtail.losses.noise_robust import Floor, LabelFloor


def sce(
    *,
    alpha: NonNegativeFloat = 0.1,
    beta: NonNegativeFloat = 1.0,
    label_floor: LabelFloor = LABEL_FLOOR,
    floor: Floor = FLOOR,
) -> Method:
    """SCE, symmetric cross-entropy: cross-entropy and its reverse, label and prediction exchanged; for noisy labels.

    loss = -alpha log p_y - beta A sum_{k != y} max(p_k, floor), A = log label_floor, p = softmax(z), mean over the
    batch.

    beta=0 is alpha times ce. More classes ask for a larger alpha: by the authors about 0.1 for noisy and 1 for clean
    labels, 1 to 10 where there are many classes.

    Wang et al. 2019, eq. 4-7.

    Works: Wrong labels in classes of like size: the second term is bounded, so a row that the network will not fit has
    little gradient; the first makes it learn at all.

    Breaks: What is hard to fit in a long tail are the rare classes: with a small alpha they are given up like wrong
    labels. The two constants do not carry over from one number of classes to another.

    Paper and code: A is -9.21 in the released code, since it puts 1e-4 in place of the label's zeros, our default; the
    paper's text speaks of -4 (`label_floor=0.0183`). The code has alpha 0.1 and beta 1 for CIFAR-10 (our default), 6
    and 0.1 for CIFAR-100, 0.01 and 1 for MNIST. It clips probabilities at 1e-7 in the first term, too; ours is exact
    there.
    """

    def loss(counts: Tensor | None) -> losses.Loss:
        return losses.SymmetricCrossEntropyLoss(counts, alpha=alpha, beta=beta, label_floor=label_floor, floor=floor)

    loss(None)  # knobs that do not go together are refused now
    return Method(one_stage(loss), cited("wang2019symmetric"))
