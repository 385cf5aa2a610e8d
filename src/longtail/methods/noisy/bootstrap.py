"""Bootstrapped cross-entropy."""

from __future__ import annotations

from longtail import losses
from longtail.catalogue.method import Method, one_stage
from longtail.catalogue.references import cited
from longtail.facts.knobs import UnitFloat


def bootstrap(*, b: UnitFloat | None = None, hard: bool = False, detach: bool = False) -> Method:
    """Bootstrapping: a part of every label is replaced by what the network itself believes; for noisy labels.

    loss = -b log p_y - (1 - b) sum_k t_k log p_k, p = softmax(z), t = p or, with hard=True, onehot(argmax p).

    b is by default 0.95, and 0.8 with hard=True. b=1 is ce. The gradient goes through t = p, too, unless detach=True:
    the second term is then the entropy of p.

    Reed et al. 2015, eq. 6 and 7.

    Works: Wrong labels whose rows the network predicts otherwise with confidence: the pull of the label is weaker
    there.

    Breaks: It confirms what a network believes, right or wrong; on a long tail that is mostly a frequent class. With
    detach=True the soft form has b times the gradient of ce, and nothing else.

    Paper and code: b is the paper's for either form. We have read no code of theirs. Whether t is held constant is not
    said by the formula; we differentiate it as it is written.
    """
    stages = one_stage(lambda counts: losses.BootstrappedLoss(counts, b=b, hard=hard, detach=detach))
    return Method(stages, cited("reed2015training"))
