"""SimSiam: each view predicts the other's projection, without negatives and without an average."""

from __future__ import annotations

from typing import Any

from torch import nn

from longtail.catalogue.encoders import ENCODER_SLOTS, encoder_stage, probe_stage
from longtail.catalogue.method import SELF, Method
from longtail.catalogue.references import cited
from longtail.catalogue.tasks import SELF_SUPERVISED
from longtail.catalogue.view_sets import USUAL, Views, has_views
from longtail.data import Part
from longtail.data.views.view_sets import pair_of_views
from longtail.learners.hosts import SimSiam
from longtail.methods.selfsup.moco import Hidden
from longtail.methods.selfsup.simclr import Passes
from longtail.models.heads import Projection

MOST, WIDER, NARROWER = 2048, 4, 4
"""By default a projection is WIDER times as wide as the features, at most MOST, and the predictor NARROWER inside."""
SIMSIAM_RECIPE: dict[str, Any] = {
    "lr": 0.1, "batch_size": 512, "weight_decay": 1e-4, "decay": "cosine", "warmup": 0,
}  # fmt: skip
"""Recipe of SimSiam on ImageNet, but for the 100 epochs and the ResNet-50."""


def simsiam(*, dim: Hidden = 0, hidden: Hidden = 0, passes: Passes = "split", views: Views = USUAL) -> Method:
    """SimSiam: each view predicts the projection of the other, which has no gradient; a probe classifies.

    loss = mean over N rows i of -(cos(p1_i, z2_i) + cos(p2_i, z1_i)) / 2, z without a gradient, p = predictor(z).

    z1, z2: projections (N, dim) of the two views by one network. The projector is three linear layers as wide as the
    projections, each with a batch norm, the last one without affine parameters; the predictor is Linear, BatchNorm,
    ReLU, Linear, `hidden` wide inside. Both are dropped after training. dim = 0: four times the width of the features,
    at most 2048; hidden = 0: a quarter of dim. passes: "split", the paper's, sends one view after the other through
    network and predictor; "joint" both as one batch. The probe is that of simclr.

    Chen and He 2021, eq. 1-4 and algorithm 1; there dim = 2048 and hidden = 512, as here for a ResNet.

    views: the pair of views of images, "cifar" by default (`data.views.view_sets`); other inputs have no other.

    Works: Small batches, since no row is a negative of another; rows of the same class do not repel each other.

    Breaks: It may collapse to a constant, whose loss is -1: without the stopped gradient or the predictor it does, and
    in a small network or a short training it may. A loss near -1 beside a probe near chance is that. It has no
    temperature.

    Paper and code: Their predictor keeps a constant learning rate in the better variant ("fix-pred-lr"), and residual
    blocks begin at zero; here the predictor follows the recipe's schedule, since a learner's own rates are fixed
    multiples of it, and bodies begin as everywhere. A bias in front of a batch norm, which theirs lacks, has no effect.
    """

    def host(network: Any, rows: Part) -> nn.Module:
        width = network.head.out_features
        return SimSiam(Projection(width, 0, dim=width, hidden=hidden or max(1, width // NARROWER), last="none"), passes)

    projection = {"dim": 0, "hidden": dim, "layers": 3, "last": "plain", "wider": WIDER, "most": MOST}
    return Method(
        lambda recipe: [
            encoder_stage(recipe, SELF, host, passes=passes, projection=projection, views=pair_of_views(views)),
            probe_stage(recipe),
        ],
        cited("chen2021exploring"),
        task=SELF_SUPERVISED,
        projects=dim or (lambda features: min(WIDER * features, MOST)),
        slots=ENCODER_SLOTS - {"temperature"},
        own=SIMSIAM_RECIPE,
        checks=(has_views(views),),
        trains="an encoder",
    )
