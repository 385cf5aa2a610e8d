"""RC: cross-entropy with the network's renormalised confidences after each update."""

from __future__ import annotations

from longtail.catalogue.method import Method, one_stage
from longtail.catalogue.references import cited
from longtail.catalogue.tasks import PARTIAL
from longtail.facts.knobs import UnitStart
from longtail.losses import CrossEntropyLoss
from longtail.methods.partial.proden import PRODEN_SLOTS
from longtail.targets import Confidences


def rc(*, start: UnitStart = 0.0) -> Method:
    """RC: the risk-consistent method: cross-entropies of the candidates, weighted by renormalised confidences.

    loss = -sum_k q_k log softmax(z)_k, then q_k <- softmax(z')_k [k in S] / sum_{j in S} softmax(z')_j.

    z: logits (N, C); z': those of the same batch after the update; S: candidates (N, C) bool; q: confidences (N, C),
    uniform on S at first and constant in the gradient. It is proden but for z': a second pass without a gradient, in
    training mode, which moves no statistics of batch norms. `start` as in proden. With one candidate a row it is ce.

    Feng et al. 2020, the risk-consistent method (RC).

    Works: As proden: wrong candidates vary from row to row. Where every set that contains the true class is equally
    likely, the weighted risk with the true posteriors is that of the true labels.

    Breaks: Confidences follow the network's own outputs, so early errors are confirmed. It ignores class sizes. A step
    costs one more forward pass than proden's.

    Paper and code: The paper's algorithm updates the parameters first and the confidences by them, as here. A second
    pass of the released kind would count a batch twice in the batch norms' statistics; ours does not.
    """
    stages = one_stage(
        lambda counts: CrossEntropyLoss(), targets=lambda rows: Confidences(rows.targets, start, second_pass=True)
    )
    return Method(stages, cited("feng2020provably"), task=PARTIAL, slots=PRODEN_SLOTS)
