"""SDCLR: the second view passes through a pruned copy of the network."""

from __future__ import annotations

from typing import Annotated, Any

from longtail.catalogue.encoders import encoder_base, over_encoders
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.data import Part, TrainingSet
from longtail.engine import Built, Recipe
from longtail.learners import PairLearner
from longtail.learners.pruned import FRACTION, NORMS, Pruned, prunable

Base = Annotated[Method, encoder_base("branch")]
Fraction = Annotated[float, FRACTION]
Norms = Annotated[str, NORMS]
SIMCLR: Any = "simclr"


def sdclr(*, base: Base = SIMCLR, fraction: Fraction = 0.9, norms: Norms = "two") -> Method:
    """SDCLR: the second view passes through a pruned copy of the network, which forgets rare rows first.

    loss = that of `base` on z1 = f(x1; w) and z2 = f(x2; w m), m = 1 where |w| >= t and 0 elsewhere.

    x1, x2: the two views; w: the n weights of all convolutions, or in a network without any those of the linear layers
    of its body; t: one threshold for all, below which the share `fraction` lies. The projector, norms and biases are
    not pruned. The masks are computed from the present weights at the start of every epoch. The pruned copy has batch
    norms of its own (norms="one": those of the network), in body and projector. Gradients of both passes reach the
    shared weights, but those of z2 not the pruned ones. What is saved and probed is the dense network.

    The views pass one after the other, whatever `passes` of the base says. A moving average has the masks of the
    network and second batch norms of its own; in MoCo the query is dense and the key pruned. fraction=0 prunes nothing,
    and with norms="two" it is still not the base; with norms="one" it is `simclr(passes="split")`.

    Jiang et al. 2021, section 3.

    Works: For the authors rows that a pruned network represents worst are hard or rare ones, so that their two
    projections differ more and they weigh more in the loss, without labels. In the README of BCL (CIFAR-100-LT, labels
    of the full set for the probe) it has 55.0 % where SimCLR has 50.7 %.

    Breaks: The fraction must suit the network: it is 0.9 for a ResNet-18 on CIFAR and 0.3 for a ResNet-50 on
    ImageNet-100-LT. A mask is only as good as the weights of its epoch: at first it prunes initial values. Two passes
    of N rows have batch statistics of half as many rows each as one joint pass.

    Paper and code: The code makes three passes, each view's with the other one's projections as constants; one forward
    pass of both has the same gradient. So its second running statistics move twice a step, here once. Its projector has
    three linear layers beside two in its SimCLR; here both have two. Its masks are not in its checkpoints; here they
    are. It can prune further weights at random, which is not included. Networks without convolutions and hosts with a
    moving average are not in the paper. On ImageNet-100-LT it takes t = 0.3.
    """

    def change(built: Built, data: TrainingSet) -> Built:
        learner = built.learner
        assert isinstance(learner, PairLearner)
        branch = Pruned(learner.network, fraction, norms=norms, average=learner.average is not None)
        return built._replace(learner=learner.varied(branch=branch))

    return over_encoders(base, "branch", change, check=has_weights, reference=cited("jiang2021self"))


def has_weights(recipe: Recipe, rows: Part) -> str | None:
    """Return why the recipe's network cannot be pruned; None where it can, and for a user's own, seen when built."""
    if recipe.own is None:
        try:
            prunable(recipe.sketch(rows))
        except ValueError as error:
            return str(error)
    return None
