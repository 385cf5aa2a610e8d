"""Support vector machines on a network's features: one classifier for each class against the rest."""

from __future__ import annotations

from longtail import losses
from longtail.catalogue.method import Method, one_stage
from longtail.catalogue.references import cited


def hinge() -> Method:
    """The hinge, one classifier for each class against the rest: a support vector machine on the features.

    loss = sum_j max(0, 1 - t_j z_j), t_j = 1 for j = y and -1 for the others, mean over the batch; predict argmax z.

    The weight decay of the recipe is the regulariser; on a linear network it is the linear support vector machine.

    Cortes and Vapnik 1995, for two classes.

    Works: Two classes of like size, or several that each differ from the rest: examples beyond the margin add nothing.

    Breaks: It ignores class sizes, and a rare class has N - n_j negatives: -1 for every example can be its best
    classifier. With several classes its minimiser need not name the likeliest one where none has half of the
    probability. It has no probability model.

    Paper and code: No released code. The paper has one pair of classes and kernels; C classifiers whose largest score
    decides are common practice, and gradient steps are ours.
    """
    return Method(one_stage(lambda counts: losses.BinaryHingeLoss()), cited("cortes1995support"))


def ls_svm() -> Method:
    """The least-squares support vector machine, one classifier for each class against the rest.

    loss = sum_j (1 - t_j z_j)^2, t_j = 1 for j = y and -1 for the others, mean over the batch; predict argmax z.

    t_j^2 = 1, so it is the regression of labels of 1 and -1, with the weight decay of the recipe as its ridge.

    Suykens and Vandewalle 1999.

    Works: Every example counts and the minimiser is known, z_j = 2 P(j | x) - 1: with enough rows it ranks as ce does.

    Breaks: It ignores class sizes, as ce does. Examples far on the right side of the margin are penalised too, so a few
    of them move a linear classifier.

    Paper and code: No released code that we have read. The paper solves a linear system with kernels; gradient steps
    are ours.
    """
    return Method(one_stage(lambda counts: losses.LeastSquaresLoss()), cited("suykens1999least"))
