"""CAVL: the candidate of the largest class activation value is taught as the label."""

from __future__ import annotations

from longtail.catalogue.method import Method, one_stage
from longtail.catalogue.references import cited
from longtail.catalogue.tasks import PARTIAL
from longtail.facts.knobs import UnitStart
from longtail.functional import candidate_activation
from longtail.losses import CrossEntropyLoss
from longtail.methods.partial.proden import PRODEN_SLOTS
from longtail.targets import Confidences


def cavl(*, start: UnitStart = 0.0, second_pass: bool = True) -> Method:
    """CAVL: the candidate with the largest class activation value becomes the row's label.

    loss = -sum_k q_k log softmax(z)_k, then q <- onehot(argmax_{k in S} v_k), v_k = |z'_k - 1| z'_k.

    z: logits (N, C); z': those of the same batch after the update, in a second pass without a gradient, or z itself
    with second_pass=False; S: candidates (N, C) bool; q: (N, C), uniform on S at first, so that the first epoch teaches
    the average over the candidates. `start` as in proden. With one candidate a row it is ce.

    Zhang et al. 2022.

    Works: The network singles out one candidate early, and most of these are right: then it learns from hard labels.

    Breaks: A hard label that is wrong is taught in full until it loses the arg-max. v is not monotone: between 0 and 1
    it rises and falls, so that there a candidate of smaller logit can win. It ignores class sizes.

    Paper and code: The paper takes the arg-max among the candidates, as here. The released code multiplies v by the set
    before an arg-max over all classes: where no candidate has a value above 0, a class outside of the set is taught.
    Theirs: Adam at 1e-3 with weight decay 1e-3, batch 64, 250 epochs; its second pass moves the batch norms'
    statistics, ours does not.
    """
    stages = one_stage(
        lambda counts: CrossEntropyLoss(),
        targets=lambda rows: Confidences(rows.targets, start, rule=candidate_activation, second_pass=second_pass),
    )
    return Method(stages, cited("zhang2022exploiting"), task=PARTIAL, slots=PRODEN_SLOTS)
