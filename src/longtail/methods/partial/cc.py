"""CC: maximum likelihood of the candidate set, the reference of partial labels."""

from __future__ import annotations

from torch import Tensor

from longtail.catalogue.method import Method, one_stage
from longtail.catalogue.references import cited
from longtail.catalogue.tasks import PARTIAL
from longtail.facts.types import Outputs, Progress
from longtail.functional import candidate_likelihood
from longtail.losses import CrossEntropyLoss
from longtail.targets import CandidateSets

PARTIAL_SLOTS = frozenset({"update"})
"""What a correction can change where the labels are sets: the kind of step, not weights by class or loss."""


def cc() -> Method:
    """CC: maximum likelihood of the candidate set; the reference of partial labels.

    loss = -log sum_{k in S} softmax(z)_k, S the candidates of the row, mean over the batch.

    z: logits (N, C); S: (N, C) bool. With one candidate a row it is ce, bit for bit. The gradient is that of
    cross-entropy with the soft target softmax(z) on S, renormalised: each step follows what the network believes now,
    where proden follows what it believed at its last step on the row.

    Feng et al. 2020, the classifier-consistent method (CC).

    Works: Every set that contains the true class is equally likely: then it is consistent.

    Breaks: Two classes that are always candidates together cannot be told apart. Its posterior has the class shares of
    the training rows, so that on a long tail frequent candidates are preferred.

    Paper and code: Released code takes the logarithm of summed probabilities; here it is a log-sum-exp of
    log-probabilities, the same where those do not underflow.
    """
    stages = one_stage(lambda counts: CrossEntropyLoss(), targets=lambda rows: CandidateSets(), criterion=of_candidates)
    return Method(stages, cited("feng2020provably"), task=PARTIAL, slots=PARTIAL_SLOTS)


def of_candidates(outputs: Outputs, targets: Tensor, weight: Tensor | None, progress: Progress) -> Tensor:
    """Return the losses (B,) of candidate sets, targets (B, C) 0 or 1, times the weight of each row."""
    losses = candidate_likelihood(outputs.logits, targets > 0)
    return losses if weight is None else losses * weight.to(losses.dtype)
