"""A trained linear classifier trained further, with bounded lengths or over-smoothed labels."""

from __future__ import annotations

import copy
from typing import Annotated, Any

from torch import nn

from longtail import losses
from longtail.catalogue import spec as specs
from longtail.catalogue.compose import PLAIN, BaseMethod
from longtail.catalogue.implied import effective
from longtail.catalogue.method import Method
from longtail.catalogue.search import Candidate
from longtail.data import Part
from longtail.engine import Built, Recipe
from longtail.facts.class_weights import BETA, Beta
from longtail.facts.knobs import Choice, NonNegativeFloat, PositiveFloat, UnitFloat, UnitLength, declared
from longtail.learners import SupervisedLearner
from longtail.methods.decoupling.second import retrained
from longtail.methods.tuning.tuned import among, first_decays, searching
from longtail.models.heads import MaxNorm

SLOTS = ("classifier", "linear head", "optimizer")  # a second stage with a weight decay of its own
Base = Annotated[Method, BaseMethod(slots=SLOTS, such=("ce", "mixup"))]

OWN = {"lr": 0.01, "weight_decay": 5e-3, "decay": "cosine"}
"""The first stage of both papers on CIFAR-100, in batches of 64 for 320 and 200 epochs."""


def maxnorm(
    *,
    base: Base = PLAIN,
    first: Annotated[str, Choice(("recipe", "val"))] = "recipe",
    weight_decay: NonNegativeFloat = 0.1,
    lr: PositiveFloat = 0.01,
    norm: UnitFloat = 0.1,
    beta: Beta = BETA,
    more: UnitLength = 0.03,
    moving_norms: bool = True,
) -> Method:
    """MaxNorm of weight balancing: the classifier trained further with strong weight decay and bounded lengths.

    loss = that of `base`; then, of the classifier alone, -v_y log softmax(z)_y, v_j ~ (1 - beta) / (1 - beta^n_j), with
    this weight decay, and after every step w_j <- w_j min(1, t / ||w_j||), t = min_j ||w_j|| + norm (max_j ||w_j|| -
    min_j ||w_j||) of the lengths before the first.

    The first stage is `base` itself and is trained once for both, with the recipe's weight decay. The paper's is tuned
    (5e-3 at learning rate 0.01): first="val" chooses it, among the recipe's and those of ce-tuned, by the balanced
    accuracy after both stages on the validation part. The second stage continues the linear classifier for the share
    `more` of the recipe's epochs, from learning rate `lr` on, without warm-up; more=0 omits it and is `base`. The bias
    is not bounded. The weights v sum to C, and the losses of a batch are divided by its size.

    Alshammari et al. 2022.

    Works: After a first stage with a tuned weight decay. In the authors' logs (CIFAR-100 at ratio 100, ResNet-34) that
    alone raises the accuracy from 39.6 to 47.2 %, and this stage to 52.0 %, each at its best epoch.

    Breaks: Without that first stage: the features are those of `base`. At a larger `lr` the weight decay shrinks the
    classifier more in every step, in proportion.

    Paper and code: The demo projects once an epoch; the paper, its author and we project after every step. Its
    class-balanced loss is the binary cross-entropy of softmax probabilities, averaged over B C entries, with a gradient
    of about 1/C of the cross-entropy's; ours is the weighted cross-entropy of the paper. Both stages have learning rate
    0.01; the second has 10 epochs after 320, and the last has learning rate 0 there. The body is frozen but in training
    mode, as in crt.
    """

    def make(trained: nn.Module, rows: Part, recipe: Recipe) -> Built:
        network: Any = copy.deepcopy(trained)
        loss = losses.ClassBalancedLoss(rows.class_counts, beta=beta)
        bound = MaxNorm(network.head.weight, norm)
        learner = SupervisedLearner(network, loss, constraint=bound, frozen=["body"], moving_norms=moving_norms)
        return Built(learner, rows.drawn(recipe.batch_size))

    made = retrained(
        base,
        make,
        more=more,
        prior=effective(beta),
        slots=SLOTS,
        reference="alshammari2022long",
        lr=lr,
        warmup=0,
        weight_decay=weight_decay,
        own=OWN,
    )
    if first == "recipe":
        return made
    knobs = {"base": base.spec, "weight_decay": weight_decay, "lr": lr, "norm": norm, "beta": beta, "more": more,
             "moving_norms": moving_norms}  # fmt: skip
    spec = specs.canonical("maxnorm", knobs, {knob: one.default for knob, one in declared(maxnorm).items()})
    return searching(made, among(lambda recipe: [Candidate(spec, changes) for changes in first_decays(recipe)]))


def los(
    *,
    base: Base = PLAIN,
    eps: UnitFloat = 0.98,
    lr: PositiveFloat = 5e-4,
    more: UnitLength = 0.1,
    moving_norms: bool = True,
) -> Method:
    """LOS, label over-smoothing: the trained classifier trained further with labels that are nearly uniform.

    loss = that of `base`; then, of the classifier alone, -(1 - eps) log p_y - (eps / C) sum_j log p_j, p = softmax(z),
    without weight decay.

    The first stage is `base` itself and is trained once for both. The second continues the linear classifier for the
    share `more` of the recipe's epochs from learning rate `lr` on, without warm-up, by plain draws: no class counts
    enter. more=0 omits it and is `base`. For moving_norms see crt.

    Sun et al. 2025.

    Works: The best logits are finite and differ by log((1 - eps + eps / C) / (eps / C)) between the true class and
    another, 1.1 at eps = 0.98 and C = 100, whatever the size of a class, where the features allow it: no class can gain
    by longer vectors.

    Breaks: As probabilities its scores are useless: nearly uniform. With few classes and the same eps the labels are
    nearer to uniform: at C = 10 the difference is 0.2.

    Paper and code: They give 20 epochs after 200 at learning rate 5e-4 after 0.01, for CIFAR-100 alone; the values for
    other data are not released, and the code's default is eps = 0. The whole network is in training mode, so batch
    norms continue to record statistics. The code keeps the best test epoch.
    """

    def make(trained: nn.Module, rows: Part, recipe: Recipe) -> Built:
        loss = losses.LabelAwareSmoothingLoss(rows.class_counts, head=eps, tail=eps, zero_count="mask")
        learner = SupervisedLearner(copy.deepcopy(trained), loss, frozen=["body"], moving_norms=moving_norms)
        return Built(learner, rows.drawn(recipe.batch_size))

    return retrained(
        base,
        make,
        more=more,
        prior=None,
        slots=SLOTS,
        reference="sun2025rethinking",
        lr=lr,
        warmup=0,
        weight_decay=0.0,
        own=OWN,
    )
