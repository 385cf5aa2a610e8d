"""SimPro: logit adjustment by class priors that are estimated in training, over any semi-supervised method."""

from __future__ import annotations

from typing import Annotated, Any

from longtail.catalogue.compose import BaseMethod, corrected
from longtail.catalogue.implied import power, uniform
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.catalogue.tasks import SEMI_SUPERVISED
from longtail.data import TrainingSet
from longtail.engine import Built
from longtail.facts.knobs import NonNegativeFloat, Range
from longtail.facts.late import Late
from longtail.facts.schedules import linear
from longtail.learners.estimated_priors import EstimatedPriors, MixturePriorLoss
from longtail.methods.semi.hosts import FIXMATCH, HOSTS
from longtail.targets import Confident

TAKEN = ("targets", "criterion")
Base = Annotated[Method, BaseMethod(HOSTS, slots=TAKEN, task=SEMI_SUPERVISED, such=HOSTS[:1])]
Momentum = Annotated[float, Range(0, 1, open_high=True)]


def simpro(*, base: Base = FIXMATCH, tau: NonNegativeFloat = 1.0, momentum: Momentum = 0.9) -> Method:
    """SimPro: scores for balanced classes, guesses under the prior of the rows without labels, which is estimated.

    loss = that of `base` with -log softmax(z + tau log v)_y in place of -log softmax(z)_y; predict argmax z
    y_k = q_k u_k^tau / sum_j q_j u_j^tau in place of the soft labels q of `base`

    u is the class prior of the rows without labels, v that of all rows in a step. After every epoch they move by
    1 - momentum to the shares in that epoch: of the soft labels y of rows that count for `base`, and of these and the
    labelled rows together. u begins uniform, v with the shares of the labels. Labels are soft: of fixmatch, y itself is
    taught where its largest entry reaches the threshold. tau=0 is `base`.

    Du et al. 2024, section 3.

    Works: Nothing is known of the shares of the rows without labels; they may be uniform or reversed. At tau = 1 the
    scores are those for balanced classes.

    Breaks: The estimate comes from the rows above the threshold: where few reach it, or those of some classes never
    do, it is wrong, and it confirms itself. A training of few epochs ends near the first priors; one of a single epoch,
    in which these do not move, is refused.

    Paper and code: Defined on FixMatch with two strong views and a strong view of the labelled rows; here the views are
    those of `base`, and for mixmatch and remixmatch mixed labels meet the adjusted softmax, which is ours. Their code
    updates the priors every 500 of 43,000 steps, and the weight of labelled rows is the ratio of the loaders' lengths
    there, that of `base` here. It divides the sum of y by itself + 1, we do not; tau is 1, for CIFAR-10 their scripts
    set 2. Of the labelled rows, we count the expected shares in a batch.
    """

    def change(built: Built, data: TrainingSet) -> Built:
        learner: Any = built.learner
        rows: Any = built.data
        use = Confident(learner.use.threshold, soft=True) if isinstance(learner.use, Confident) else learner.use
        size = min(len(rows.main), rows.main.batch_size)
        priors = EstimatedPriors(rows.class_counts, use, size, tau=tau, momentum=momentum)
        return built._replace(learner=learner.varied(targets=priors, use=use, loss=MixturePriorLoss(priors)))

    if tau == 0:
        return corrected(base, TAKEN, lambda built, data: built)
    prior = uniform if tau == 1 else power(1 - tau)
    moved = Late("its estimate of the priors", linear(0.0, 1.0))
    return corrected(base, TAKEN, change, prior=prior, reference=cited("du2024simpro"), late=(moved,))
