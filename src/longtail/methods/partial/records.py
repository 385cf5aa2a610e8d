"""RECORDS: a running class prior is taken off what partial-label methods believe, and off their predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from torch import nn

from longtail.catalogue.compose import BaseMethod, Change, corrected
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.catalogue.tasks import PARTIAL
from longtail.data import TrainingSet
from longtail.data.true_labels import TrueCounts
from longtail.engine import Built
from longtail.facts.knobs import NonNegativeFloat, UnitFloat
from longtail.targets import Debiased, Records

Base = Annotated[
    Method, BaseMethod(("proden", "corr", "lw", "cavl"), slots=("targets",), task=PARTIAL, such=("proden", "corr"))
]
DEFAULT: Any = "proden"


def records(*, base: Base = DEFAULT, momentum: UnitFloat = 0.9, tau: NonNegativeFloat = 1.0) -> Method:
    """RECORDS: a class prior, tracked while training, is taken off confidences and predictions; not off the loss.

    loss = that of `base`, whose confidences are updated by z - tau log prior; predict argmax z - tau log prior.

    prior = softmax(head(F)), F <- m F + (1 - m) mean of the batch's features, m = `momentum`, with the present head and
    without a gradient; F begins at 0 and is not corrected for it. Of base corr F is that of both views, without
    blends. tau = 0 is `base`, bit for bit; a uniform prior changes no bit. `base` is any method with confidences:
    proden, rc, lw, cavl, corr. The prior of each epoch is in the records of a run and, where the true labels are known,
    its distance to the true class shares is drawn as prior.svg.

    Hong et al. 2023.

    Works: A long tail with ambiguous sets: the prior of the features follows what the network has learnt so far, so
    that it removes little while confidences are still ambiguous. In Hong et al. 2023, CIFAR-10 at ratio 100 and
    ambiguity 0.5, proden has 49.2 % accuracy and 66.2 with it.

    Breaks: Balanced classes give it nothing to take off. The prior is the head's answer to one mean feature, not the
    mean of answers: where the network is confident it exaggerates frequent classes. A test part with the class shares
    of the training rows loses by it.

    Paper and code: They agree. Released code has it over proden and corr alone; over lw the weights and over cavl the
    activation values come from the adjusted logits here. cavl's values change with a constant added to all logits: the
    largest entry of log prior is subtracted, so that the most frequent class has the logit that it had.
    """

    def make(inner: nn.Module, network: Any, data: TrainingSet) -> nn.Module:
        return Records(inner, network.head.in_features, len(data.classes), momentum=momentum, tau=tau)

    return corrected(base, "targets", debiased(make), reference=cited("hong2023long"))


def oracle_la(*, base: Base = DEFAULT, tau: NonNegativeFloat = 1.0) -> Method:
    """Oracle logit adjustment: the true class shares, constant, are taken off confidences and predictions.

    loss = that of `base`, whose confidences are updated by z - tau log pi; predict argmax z - tau log pi.

    pi: true class shares of the training rows, which no method is given; a row beside the others, outside the verdict.
    tau = 0 is `base`, bit for bit.

    Hong et al. 2023, the baseline Oracle-LA.

    Works: To see what knowing the prior is worth: the labels were hidden on purpose (--ambiguity).

    Breaks: Early in training confidences are ambiguous and have not the true prior: taking it off moves them to rare
    candidates, which are then taught. In the results beside RECORDS' code, CIFAR-10 at ratio 100 and ambiguity 0.5,
    corr has 50.1 % accuracy, 15.8 with it, and 72.9 with records.

    Paper and code: As in the paper. The released class for it is overwritten by another definition and cannot be used.
    """

    def make(inner: nn.Module, network: Any, data: TrainingSet) -> nn.Module:
        if not isinstance(data, TrueCounts):
            raise TypeError(f"data must be TrueCounts for oracle-la, got {type(data).__name__}; see data.true_labels")
        counts = data.clean_counts.double()
        return Debiased(inner, counts / counts.sum(), tau)

    return corrected(
        base, "targets", debiased(make), reference=cited("hong2023long"), needs_truth=True, keeps_labels=True
    )


def debiased(make: Callable[[nn.Module, Any, TrainingSet], nn.Module]) -> Change:
    """Put targets over those of the base: (its targets, its network, all rows) -> targets."""

    def change(built: Built, data: TrainingSet) -> Built:
        learner: Any = built.learner
        return built._replace(learner=learner.varied(targets=make(learner.targets, learner.network, data)))

    return change
