"""Members of the pairwise-margin family beside logit adjustment: margins that follow the prior."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from torch import Tensor

from longtail import losses
from longtail.catalogue.implied import uniform
from longtail.catalogue.method import Method, one_stage
from longtail.catalogue.references import cited
from longtail.facts.knobs import Choice
from longtail.methods.supervised.logit_adjustment import OWN

SHAPES: dict[str, Callable[[Tensor], Tensor]] = {
    "prior": lambda n: n / n.sum(),
    "sqrt": lambda n: (n / n.sum()).sqrt(),
    "relative": lambda n: n / n.max(),
}
"""Names of F, non-decreasing and in (0, 1]: pi, its square root, n / n_max."""


def adaptive() -> Method:
    """The adaptive pairwise loss: a margin of pi_y^(-1/4) on a linear head, LDAM's idea without its scale.

    loss = log(1 + sum_{k != y} exp(Delta_y + z_k - z_y)), Delta_y = pi_y^(-1/4); predict argmax z.

    Menon et al. 2021, table 3 (adaptive).

    Works: As ldam, for rare classes that need the larger margin; logits are no cosines and no knob is to be tuned.

    Breaks: It is not consistent for the balanced error. On a linear head the network meets any margin by growing its
    logits. In the paper (CIFAR-10 at ratio 100) its error is 26.7 %, that of ce 27.2 % and that of logit-adjusted
    22.3 %.

    Paper and code: It is not in the released code. The paper's number on CIFAR-10 is that of LDAM in Cao et al. 2019,
    which has cosines, a scale and a maximum margin.
    """
    return Method(
        one_stage(lambda counts: losses.PairwiseLoss(counts, delta="ones", alpha=1.0, margin=_margins(counts))),
        cited("menon2021long"),
        own=OWN,
    )


def equalised(*, shape: Annotated[str, Choice(tuple(SHAPES))] = "prior") -> Method:
    """The equalised pairwise loss: rare classes push the others less, as in softmax equalisation without its coin.

    loss = log(1 + sum_{k != y} F(pi_k) exp(z_k - z_y)), predict argmax z.
    F(pi) is pi (shape="prior"), its square root ("sqrt") or n / n_max ("relative").

    Menon et al. 2021, table 3 (equalised).

    Works: Rare classes lose because they are negatives of most examples: a class k is discouraged by F(pi_k) of the
    whole. In the paper (CIFAR-100 at ratio 100) its error is 57.3 %, that of ce 61.6 % and that of adaptive 60.4 %.

    Breaks: It is not consistent for the balanced error: the true class has no factor of its own.

    Paper and code: It is not in the released code, and the paper gives no F: the choices and the default are ours.
    """

    def loss(counts: Tensor) -> losses.Loss:
        f = SHAPES[shape](counts.double())
        return losses.PairwiseLoss(counts, delta=f, alpha=1.0, margin=f.log())

    return Method(one_stage(loss), cited("menon2021long"), own=OWN)


def logit_adjusted_adaptive() -> Method:
    """Logit adjustment with adaptive margins: the sum of both offsets.

    loss = log(1 + sum_{k != y} exp(Delta_yk + z_k - z_y)), Delta_yk = log(pi_k / pi_y) + pi_y^(-1/4); predict argmax z.

    Menon et al. 2021.

    Works: The prior is adjusted for and rare classes have a margin beside. In the paper (iNaturalist 2018, 200 epochs)
    the error falls from 30.1 % for logit-adjusted to 28.0 %.

    Breaks: The margin breaks the consistency of logit-adjusted. A class with a share of 10^-4 has a margin of 10.

    Paper and code: It is not in the released code.
    """
    return Method(
        one_stage(lambda counts: losses.PairwiseLoss(counts, delta="prior", alpha=1.0, margin=_margins(counts))),
        cited("menon2021long"),
        own=OWN,
        prior=uniform,
    )


def _margins(counts: Tensor) -> Tensor:
    """pi^(-1/4)."""
    prior = counts.double() / counts.sum()
    return prior**-0.25
