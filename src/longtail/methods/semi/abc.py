"""ABC: an auxiliary balanced classifier beside any semi-supervised method."""

from __future__ import annotations

import copy
from typing import Annotated, Any

from longtail.catalogue.compose import BaseMethod, corrected
from longtail.catalogue.implied import uniform
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.catalogue.tasks import SEMI_SUPERVISED
from longtail.data import TrainingSet
from longtail.engine import Built
from longtail.facts.knobs import NonNegativeFloat
from longtail.facts.late import Late
from longtail.facts.schedules import linear
from longtail.learners.balanced_head import BalancedHead
from longtail.methods.semi.hosts import FIXMATCH, HOSTS
from longtail.models.heads import find_head

Base = Annotated[Method, BaseMethod(HOSTS, slots=("auxiliary",), task=SEMI_SUPERVISED, such=HOSTS[:1])]


def abc(*, base: Base = FIXMATCH, weight: NonNegativeFloat = 1.0, confidence: NonNegativeFloat = 0.95) -> Method:
    """ABC: a second classifier on the features of `base`, trained on classes in equal parts, predicts.

    loss = that of `base` + weight (1/B sum_b m_b CE(a_b, y_b) + sum over views v 1/M sum_u c_u m_u CE(a_uv, q_u))

    a are the second classifier's logits, q its softmax for the weak view, without a gradient. m_b is 1 with probability
    n_min / n_y, c_u = [max_k q_uk >= confidence], and m_u is 1 with probability 1 - p (1 - n_min / n_k), k the largest
    class of q_u and p the finished share of the training: first all rows count, then classes in equal parts. Masks are
    drawn anew in every step, and all rows divide. The views v are those that `base` compares with the weak one: the
    strong view of fixmatch, both of remixmatch, the second weak one of mixmatch. Where `base` mixes rows, they pass
    through the network as they are once more. The gradient reaches the features; `base` itself is as before. The moving
    average under the second classifier predicts. weight=0 is `base`. A single epoch, in which p is 0, is refused.

    Lee et al. 2021, section 3.

    Works: The features that `base` learns from all rows are good, and its classifier favours frequent classes. No class
    shares of the rows without labels are needed.

    Breaks: The smallest class has few rows, and a step few chances to contain one. In the last part of the training
    most rows of frequent classes no longer count.

    Paper and code: n_min is the smallest class's count, as in the paper, whose classes are sorted; the code takes the
    last class's. The paper's p goes to 1 over the training; in the code it is the epoch over 500, whatever the length.
    q is soft in both; hard labels lost overall accuracy in their ablation. We use the logarithm of the
    softmax in one piece, theirs can be infinite for confident rows. The second classifier starts as a copy
    of the first; theirs is drawn. USB's version has hard labels and one strong view.
    """

    def change(built: Built, data: TrainingSet) -> Built:
        learner: Any = built.learner
        head = copy.deepcopy(find_head(learner.network, "head")[1])
        part = BalancedHead(head, built.data.class_counts, confidence=confidence, weight=weight)
        return built._replace(learner=learner.varied(auxiliary=part))

    if weight == 0:
        return corrected(base, "auxiliary", lambda built, data: built)
    equal = Late("its move to equal classes", linear(0.0, 1.0))
    return corrected(base, "auxiliary", change, prior=uniform, reference=cited("lee2021abc"), late=(equal,))
