"""RoLT: labels judged by the distance of their rows to class prototypes, and softly corrected where judged wrong."""

from __future__ import annotations

from typing import Annotated, Any

from longtail.catalogue.compose import PLAIN, BaseMethod, Change, corrected
from longtail.catalogue.implied import times, weighted
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.data import TrainingSet
from longtail.engine import Built
from longtail.facts.knobs import Range, UnitFloat, UnitStart
from longtail.learners import SupervisedLearner
from longtail.learners.all_rows import plain_rows
from longtail.methods.supervised.deferred import START, ClassWeight
from longtail.targets import Cleaned

SLOTS = ("targets", "criterion", "mixing", "weights")
"""What soft labels fill: criteria, mixtures and weights by class need a class of every row."""
WORDS, SUCH = ("ce", "ldam"), ("ce", "ldam")
Base = Annotated[Method, BaseMethod(words=WORDS, slots=SLOTS, such=SUCH)]
Unbalanced = Annotated[Method, BaseMethod(words=WORDS, slots=(*SLOTS, "shares"), such=SUCH)]
Momentum = Annotated[float, Range(0, 1, open_high=True)]
FIRST = 0.4
"""Share of the epochs before labels are corrected: 80 of 200."""


def rolt(
    *,
    base: Base = PLAIN,
    start: UnitStart = FIRST,
    erm: UnitFloat = 0.4,
    ncm: UnitFloat = 0.2,
    given: UnitFloat = 0.2,
    momentum: Momentum = 0.6,
) -> Method:
    """RoLT: before every epoch labels far from the prototype of their class are judged wrong, and taught softly.

    loss = that of `base` against q: q = onehot(y) of a row judged right, and before progress `start`; then of a row
    judged wrong q = erm onehot(a) + ncm onehot(b) + given onehot(y) + rest / C, rest = 1 - erm - ncm - given.

    Features of all training rows (evaluation mode, no augmentation) are centred and scaled to length 1: x; c_j is the
    mean of x over class j, z_j = -||x - c_j||^2. Within a class z_y is scaled to [0, 1], and a Gaussian mixture of two
    components (scikit-learn's) splits its rows; the nearer ones are judged right, or all where there is nothing to
    split. Prototypes of those judged right are computed once more, and a second judgement by them is the one used. a
    and b are the arg max of moving averages (`momentum`, m E + (1 - m) z) of the network's logits and of these z.

    given=1 with erm=0 and ncm=0, or start=1, is `base`, bit for bit. Where the loss of `base` reads class counts
    (margins, weights, offsets), from `start` on they are those of y or, for rows judged wrong, of a, counted anew
    before every epoch: `rolt(base="ldam")` is the authors' variant. Every epoch costs a forward pass of all rows and
    two mixtures a class besides. How many labels are judged right, in all and of each class, is in the records of a
    run.

    Wei et al. 2021.

    Works: Wrong labels among rare classes: a distance within the class does not call all of its rows hard, as a large
    loss does.

    Breaks: Of clean labels the farther group is judged wrong, too: a mixture of two always splits a class. Among few
    rows one wrong label moves the prototype. Features must lie around one mean per class before `start`. Bases that mix
    rows, or have weights or a criterion of their own, are refused.

    Paper and code: Values are those of the code. It divides the stored averages by 1 - m^epoch in every epoch anew,
    which compounds; ours begin with the first epoch's logits and need no correction. By `start` the difference is of
    the order of m^80. Its features and distances are float32 and its mixtures fail for a class of one row; ours are
    float64 and keep such a row. The recipe is ours for CIFAR (ResNet-32, 200 epochs, batches of 128, rate 0.1, weight
    decay 2e-4, 5 epochs of warm-up, x0.01 twice), but each rate comes one epoch earlier: it warms up from 2/5, drops in
    epochs 160 and 180 (ours in 161 and 181), and leaves out the last partial batch. It reports the best epoch on the
    test images. RoLT+, the same judgement within DivideMix, is not included.
    """
    change = _cleaned(start=start, erm=erm, ncm=ncm, given=given, momentum=momentum)
    return corrected(base, SLOTS, change, reference=cited("wei2021robust"))


def rolt_drw(
    *,
    base: Unbalanced = PLAIN,
    start: UnitStart = FIRST,
    erm: UnitFloat = 0.4,
    ncm: UnitFloat = 0.2,
    given: UnitFloat = 0.2,
    momentum: Momentum = 0.6,
    at: UnitStart = START,
    surrogate: UnitFloat = 0.5,
    class_weight: ClassWeight = "effective",
) -> Method:
    """RoLT-DRW: as rolt, then frozen surrogate labels and class weights by their counts.

    loss = that of rolt until progress `at`; then surrogate L(s) + (1 - surrogate) / C sum_k L(t_k),
    L(u) = sum_i w_{u_i} l(z_i, u_i) / sum_i w_{u_i} over a batch, l that of `base`, t_k = k for a row judged wrong,
    else y; w by the counts of s, summing to C.

    s: y of a row judged right, else the network's class a, both as they are in the first epoch from `at` on. The
    judgement goes on before every epoch. at=1 is rolt.

    Wei et al. 2021.

    Works: As rolt, where the classifier is to be re-balanced as well: counts of wrong labels hide how rare a class is.

    Breaks: What was wrong in s stays. Weights of a class whose labels are mostly wrong are too small or too large.

    Paper and code: As for rolt; `class_weight="effective"` with beta 0.9999 is the code's. So are
    terms that are divided one by one. Over `base="ldam"` margins follow the counts from `start` on, as there.
    """
    change = _cleaned(
        start=start, erm=erm, ncm=ncm, given=given, momentum=momentum, at=at, surrogate=surrogate,
        class_weight=class_weight,
    )  # fmt: skip
    prior = base.prior if at >= 1 else times(base.prior, weighted(class_weight, at))
    return corrected(base, (*SLOTS, "shares"), change, reference=cited("wei2021robust"), prior=prior)


def _cleaned(*, erm: float, ncm: float, given: float, **others: Any) -> Change:
    """Put corrected labels in the place of the given ones.

    Raises:
        ValueError: masses above 1.
    """
    if erm + ncm + given > 1 + 1e-9:
        raise ValueError(
            f"erm + ncm + given must be at most 1, got {erm + ncm + given:g}; lower one of them (what they leave is "
            "spread over all classes)"
        )

    def change(built: Built, data: TrainingSet) -> Built:
        learner = built.learner
        if not isinstance(learner, SupervisedLearner) or learner.mixing is not None or learner.criterion is not None:
            kind = type(learner).__name__
            raise ValueError(f"base must train by one loss against one label a row, got {kind}; choose another base")
        rows, smoothing = plain_rows(built.data), learner.loss.label_smoothing
        masses: dict[str, Any] = {"erm": erm, "ncm": ncm, "given": given}
        targets = Cleaned(rows.targets, len(rows.classes), smoothing=smoothing, **masses, **others)
        return built._replace(learner=learner.varied(targets=targets))

    return change
