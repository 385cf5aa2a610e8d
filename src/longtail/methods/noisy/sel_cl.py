"""Sel-CL and Sel-CL+: contrast of pairs of rows whose labels are confident, by the votes of neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from torch import nn

from longtail.catalogue.encoders import without_single_rows
from longtail.catalogue.method import SELF, Method
from longtail.catalogue.one_stage import stage_under
from longtail.catalogue.references import cited
from longtail.catalogue.view_sets import USUAL, Views, has_views
from longtail.data import Part, TrainingSet, together
from longtail.data.views.mixing import Mixing
from longtail.data.views.view_sets import VIEW_SETS
from longtail.engine import Built, Recipe, Stage
from longtail.facts.knobs import Length, NonNegativeFloat, PositiveFloat, Range, UnitFloat, UnitStart
from longtail.facts.late import Late
from longtail.facts.learner import Learner
from longtail.learners.confident_pairs import ConfidentPairs, PairQueue
from longtail.learners.fine_tuned import CorrectedLearner
from longtail.learners.queue import MoCo
from longtail.learners.selective import SelectiveLearner
from longtail.models import copy_body
from longtail.sampling.flagged import Flagged

Count = Annotated[int, Range(1, integer=True)]
Places = Annotated[int, Range(0, integer=True)]
Momentum = Annotated[float, Range(0, 1)]
More = Annotated[float, Length(0, 1, open_low=True)]
WARMUP, QUEUE_FROM = 1 / 250, 3 / 250
"""Their epochs 1 and 3 of 250."""
WAITS = "what a step is made of depends on the number of the epoch"
SLOTS = frozenset({"optimizer"})
"""Its step is its own: no correction has all that it takes up."""


def sel_cl(
    *,
    k: Count = 250,
    alpha: UnitFloat = 0.5,
    beta: UnitFloat = 0.25,
    t: PositiveFloat = 0.1,
    lambda_c: NonNegativeFloat = 1.0,
    lambda_s: NonNegativeFloat = 0.01,
    mixup: PositiveFloat = 1.0,
    warmup: UnitFloat = WARMUP,
    dim: Count = 128,
    momentum: Momentum = 0.999,
    queue: Count = 10_000,
    pair_queue: Places = 1000,
    queue_from: UnitFloat = QUEUE_FROM,
    views: Views = USUAL,
) -> Method:
    """Sel-CL: rows whose label their neighbours agree with are confident, and pairs of them attract each other.

    loss = mean_i (c_i, or u_i where row i has no confident partner) + lambda_c L_C + lambda_s L_S

    u: the loss of moco on two views. c: contrast of mixed views, -log softmax of cosines / t, the mean over the
    confident partners of the row, and over those of the row that is mixed with it, in their shares. L_C: cross-entropy
    of mixed views of confident rows. L_S: binary cross-entropy of <p_a, p_b>, p the predicted probabilities, on which
    pairs are confident. At the start of every epoch but the first ones (`warmup`, u alone) the k nearest rows by the
    projections vote twice, first with the given labels, then with the winners; a row's p is the share of the second
    votes for its label, within [0.01, 0.99]. Of every class as many rows of largest p are confident as the
    alpha-quantile of the classes' numbers of rows whose label wins, at least one. A pair has the same label, and both
    rows are confident or their cosine is at least the beta-quantile of that of confident pairs. The projection is one
    linear layer. c and L_S are also taken against `pair_queue` rows a class, two views each, of the moving average,
    from progress `queue_from` on. k is at most half the mean size of a class, N / (2 C), which is 250 for CIFAR-100;
    rows are compared by chunks, never all pairs at once.

    Li et al. 2022.

    Works: Wrong labels that neighbours do not share: those of rows that look alike differ by chance.

    Breaks: Rows of a rare class whose neighbours are mostly of others are outvoted, right labels or not, and with k
    above the size of a class nearly all of them. Classes smaller than the quantile lend all their rows, wrong ones too.
    A step has five passes with a gradient and three without. With many classes the queue of pairs takes memory, places
    times classes: lower `pair_queue` there, 0 for none.

    Paper and code: Constants are those of their commands for CIFAR-10, where the network is a PreAct-ResNet-18, trained
    for 250 epochs at learning rate 0.1 with drops after 125 and 200 and weight decay 1e-4; here the recipe decides
    these. Votes are uniform; one of their two scripts weighs them by similarity. Ours differs: one mixing serves both
    views of a batch; the threshold is that of pairs of different rows, without chance; a row that is mixed in counts
    once among its own partners, twice in their masks; the queue of pairs has the rows of earlier batches, theirs the
    present ones, too, and it has no more places than two for each row; `queue` begins empty, not with random keys.
    Their clipping of the gradient of lambda_s L_S to length 0.25 and their warm-up of the learning rate are left out.
    The limit of k is ours.
    """
    arguments = {
        "k": k, "alpha": alpha, "beta": beta, "t": t, "lambda_c": lambda_c, "lambda_s": lambda_s, "mixup": mixup,
        "warmup": warmup, "dim": dim, "momentum": momentum, "queue": queue, "pair_queue": pair_queue,
        "queue_from": queue_from, "views": views,
    }  # fmt: skip
    return _method(lambda recipe: [_selective(recipe, SELF, **arguments)], views)


def sel_cl_plus(
    *,
    k: Count = 250,
    alpha: UnitFloat = 0.5,
    beta: UnitFloat = 0.25,
    t: PositiveFloat = 0.1,
    lambda_c: NonNegativeFloat = 1.0,
    lambda_s: NonNegativeFloat = 0.01,
    mixup: PositiveFloat = 1.0,
    warmup: UnitFloat = WARMUP,
    dim: Count = 128,
    momentum: Momentum = 0.999,
    queue: Count = 10_000,
    pair_queue: Places = 1000,
    queue_from: UnitFloat = QUEUE_FROM,
    views: Views = USUAL,
    more: More = 0.28,
    rate: PositiveFloat = 0.01,
    start: UnitStart = 3 / 7,
) -> Method:
    """Sel-CL+: after Sel-CL, all layers are trained further on its confident rows, under a new classifier.

    loss = that of sel-cl; then the mean over confident rows of share h_i + (1 - share) h_j, h = (1 - b) H(z~, y) + b
    H(z~, c), z~ the logits of rows i and j mixed, H the cross-entropy, c the likeliest class of the row without
    augmentation; b = 0.2 from progress `start` of the second training on, 0 before.

    The second training begins from the body that sel-cl leaves, with the rows that are confident by then. It lasts the
    share `more` of the recipe's epochs, with the constant learning rate `rate` times the recipe's, the usual
    augmentation and mixup. The first training is that of sel-cl with the same knobs, once for both.

    Li et al. 2022, Sel-CL+.

    Works: As sel-cl, with a classifier that has seen confident rows in the views in which it will be asked.

    Breaks: Classes of a long tail are as unequal among the confident rows as the choice leaves them, and nothing in the
    second training balances them. A wrong label that is confident is learnt. Of few rows an epoch has few steps, in
    which a new classifier learns little at a hundredth of the learning rate: raise `rate` or `more` there.

    Paper and code: 70 epochs after 250 at learning rate 0.001 after 0.1, correction after 30, as here. Zhang et al.
    2023 report 72.3 % for it on CIFAR-10 at ratio 100 with a tenth of the labels wrong, 61.4 % with two fifths.
    """
    arguments = {
        "k": k, "alpha": alpha, "beta": beta, "t": t, "lambda_c": lambda_c, "lambda_s": lambda_s, "mixup": mixup,
        "warmup": warmup, "dim": dim, "momentum": momentum, "queue": queue, "pair_queue": pair_queue,
        "queue_from": queue_from, "views": views,
    }  # fmt: skip
    text = f"sel-cl({','.join(f'{name}={value!r}' for name, value in sorted(arguments.items()))})"

    def stages(recipe: Recipe) -> Sequence[Stage]:
        def build(data: TrainingSet, previous: Learner | None) -> Built:
            assert isinstance(previous, SelectiveLearner)
            rows = data.labeled
            chosen = previous.pairs.chosen(previous.embedded(rows)).nonzero().flatten()
            network = recipe.network(rows)
            copy_body(previous.network, network)
            part = rows.take(chosen.to(rows.targets.device))
            size = without_single_rows(recipe.batch_size, len(part))
            drawn = part.drawn(size, views=("weak", "plain"))
            return Built(CorrectedLearner(network, start), replace(drawn, mixing=Mixing(mixup, larger=True)))

        epochs = max(1, round(more * recipe.epochs))
        last = replace(stage_under(recipe, "fine-tune", SELF, build, epochs), lr=lambda progress: rate * recipe.lr)
        return [_selective(recipe, text, **arguments), last]

    return _method(stages, views)


def _method(stages: Any, views: str) -> Method:
    return Method(
        stages,
        cited("li2022selective"),
        slots=SLOTS,
        misfit=_weighted,
        checks=(has_views(views),),
    )


def _weighted(rows: Part) -> str | None:
    if rows.sample_weight is None:
        return None
    return "compares rows of equal weight, got rows with weights; leave out the weights, or choose another method"


def _selective(recipe: Recipe, text: str, **knobs: Any) -> Stage:
    """Return the stage that trains on confident pairs."""

    def build(data: TrainingSet, previous: Learner | None) -> Built:
        rows, classes = data.labeled, len(data.classes)
        network: Any = recipe.network(rows)
        projection = nn.Linear(network.head.in_features, knobs["dim"])
        k = min(knobs["k"], max(1, len(rows) // (2 * classes)))
        choice = {"k": k, "alpha": knobs["alpha"], "beta": knobs["beta"]}
        pairs = ConfidentPairs(rows.targets, classes, knobs["dim"], **choice)
        host = MoCo(knobs["queue"], knobs["dim"], knobs["t"], knobs["momentum"])
        ring = PairQueue(2 * min(classes * knobs["pair_queue"], len(rows)), knobs["dim"], classes)
        parts = {name: knobs[name] for name in ("warmup", "queue_from", "lambda_c", "lambda_s")}
        learner = SelectiveLearner(network, projection, host, pairs, ring, **parts)
        size = without_single_rows(recipe.batch_size, len(rows))
        both, mixing = VIEW_SETS[knobs["views"]], Mixing(knobs["mixup"], larger=True)
        main = replace(rows.drawn(size, views=both), mixing=mixing)
        draw = Flagged(lambda: learner.pairs.confident, len(rows))
        return Built(learner, together(main, second=replace(rows.drawn(size, draw, views=both), mixing=mixing)))

    warmup, queue_from = knobs["warmup"], knobs["queue_from"]
    begins = Late("the choice of rows", lambda progress: float(progress >= warmup), "set warmup=0", needed=True)
    queue = Late(f"queue_from={queue_from!r}", lambda progress: float(progress >= queue_from), "lower queue_from")
    stage = stage_under(recipe, "train", text, build)
    return replace(stage, eager=WAITS, late=(begins, queue))
