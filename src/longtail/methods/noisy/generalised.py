"""Generalised cross-entropy, truncated or not."""

from __future__ import annotations

from typing import Annotated, Any

from longtail import losses
from longtail.catalogue.method import SLOTS, Method, one_stage
from longtail.catalogue.references import cited
from longtail.facts.knobs import Length, Range, UnitFloat, UnitLength
from longtail.facts.late import Late
from longtail.facts.schedules import switch
from longtail.targets import Truncated

Truncation = Annotated[float, Range(0, 1, open_low=True, open_high=True)]
Start = Annotated[float, Length(0, 1)]


def gce(*, q: UnitFloat = 0.7, k: Truncation | None = None, start: Start = 1 / 3, every: UnitLength = 1 / 12) -> Method:
    """GCE: between cross-entropy (q = 0) and the mean absolute error (q = 1), truncated or not; for noisy labels.

    loss = w (1 - p^q) / q, p = softmax(z)_y, mean over the batch; w = 1, or with k, from progress `start` on, [p > k].

    With k it is truncated: w of all training rows are computed by the network as it is, in evaluation mode, at `start`
    and after every further `every` of the training, and are constant in between; a row comes back when its p has
    risen. Rows that are left out count in the mean. every=0 computes w in every step, of the batch alone, by its own
    p; the loss is then below 0. In the record of an epoch, `kept` is the share of rows that are learnt.

    Zhang and Sabuncu 2018, eq. 6 and algorithm 1.

    Works: Wrong labels in classes of like size: in the gradient a row weighs p^q times as much as in cross-entropy, and
    a network finds a wrong label improbable for longer than a right one.

    Breaks: The labels of rare classes are improbable at first, too: a long tail is learnt late, or with k left out. q
    near 1 learns slowly or not at all where there are many classes. A batch without a row of w = 1 has no gradient.

    Paper and code: q = 0.7 and k = 0.5 are published; computing w from epoch 40 of 120 on, every tenth epoch, is
    the recipe of the PyTorch version that is in use for CIFAR-10 (for CIFAR-100 from 80 of 150). We have found no code
    by the authors. That version computes w by the checkpoint that is best on the test part, which no training should
    see; loses the epoch in which it does so, as its optimiser keeps the parameters of a network that was replaced; and
    subtracts (1 - k^q) / q, which moves the value below 0 and not the gradient. Ours takes the present network, goes on
    training it, and subtracts nothing.
    """
    if k is None or start >= 1:
        return Method(one_stage(lambda counts: losses.GeneralizedCrossEntropyLoss(counts, q=q)), cited(REFERENCE))
    begins = switch(start, 0.0, k)
    late = (Late(f"start={start!r}", begins, "lower start"),)
    if every == 0:
        made = one_stage(lambda counts: losses.GeneralizedCrossEntropyLoss(counts, q=q, k=begins))
        return Method(made, cited(REFERENCE), late=late)
    stages = one_stage(
        lambda counts: losses.GeneralizedCrossEntropyLoss(counts, q=q),
        targets=lambda rows: Truncated(len(rows), k, start=start, every=every),
    )
    filled: Any = {"slots": SLOTS - {"mixing"}, "taken": frozenset({"targets"})}  # w are of whole rows
    return Method(stages, cited(REFERENCE), late=late, **filled)


REFERENCE = "zhang2018generalized"
