"""PRODEN: confidences in the candidates, refined after each step."""

from __future__ import annotations

from longtail.catalogue.method import Method, one_stage
from longtail.catalogue.references import cited
from longtail.catalogue.tasks import PARTIAL
from longtail.facts.knobs import UnitStart
from longtail.losses import CrossEntropyLoss
from longtail.targets import Confidences

PRODEN_SLOTS = frozenset({"update", "targets"})
"""What a correction can change: the kind of step, and how the confidences are made."""


def proden(*, start: UnitStart = 0.0) -> Method:
    """PRODEN: progressive identification of the true label among the candidates.

    loss = -sum_k q_k log softmax(z)_k, then q_k <- softmax(z)_k [k in S] / sum_{j in S} softmax(z)_j.

    z: logits (N, C); S: candidates (N, C) bool; q: confidences (N, C), uniform on S at first and constant in the
    gradient. After each step its rows get confidences from the step's own outputs, used when the row is next drawn.
    `start` is the share of the epochs before the first update: 0 is the paper's, 1 leaves q uniform (the average over
    candidates), and 1 / epochs begins after the first epoch, as the code of RECORDS does; another that no epoch reaches
    is refused. With one candidate a row it is ce.

    Lv et al. 2020, eq. 7 to 9 and algorithm 1.

    Works: Wrong candidates vary from row to row, so that what the network learns from all rows singles out the true
    one.

    Breaks: Confidences follow the network's own outputs, so early errors are confirmed. It ignores class sizes: on a
    long tail confidences move to the frequent candidates.

    Paper and code: Their code restricts an update to classes whose confidence is above 0, so a candidate whose
    probability underflows is lost for good; here the set itself restricts, the softmax is taken over the candidates
    alone, and no row loses all of them. Their recipe: SGD with momentum 0.9, batch 256, 500 epochs.
    """
    stages = one_stage(lambda counts: CrossEntropyLoss(), targets=lambda rows: Confidences(rows.targets, start))
    return Method(stages, cited("lv2020progressive"), task=PARTIAL, slots=PRODEN_SLOTS)
