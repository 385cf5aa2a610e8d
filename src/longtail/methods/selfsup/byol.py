"""BYOL: each view predicts what the momentum network makes of the other one, without negatives."""

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
from longtail.facts.knobs import Fraction
from longtail.learners.hosts import BYOL
from longtail.methods.selfsup.moco import Hidden
from longtail.methods.selfsup.simclr import Passes, Width
from longtail.models.heads import Projection

WIDER = 2
"""By default the projector is so many times as wide inside as the features."""
BYOL_RECIPE: dict[str, Any] = {
    "lr": 0.06, "batch_size": 128, "weight_decay": 5e-4, "decay": "cosine", "warmup": 0,
}  # fmt: skip
"""lightly's recipe for BYOL on CIFAR-10 with SGD, but for the 200 epochs and the ResNet-18; the paper's has LARS."""


def byol(
    *,
    decay: Fraction = 0.99,
    dim: Width = 256,
    hidden: Hidden = 0,
    predictor: Hidden = 0,
    passes: Passes = "split",
    views: Views = USUAL,
) -> Method:
    """BYOL: each view predicts the momentum network's projection of the other, no negatives; a probe classifies.

    loss = mean over N rows i of |p1_i - k2_i|^2 + |p2_i - k1_i|^2, all of length 1, p = predictor(z).

    z: projections (N, dim) of the views by the network; k: those by its moving average, without a gradient. After every
    step mean <- decay mean + (1 - decay) network; decay may be a schedule. Projector and predictor are Linear,
    BatchNorm, ReLU, Linear; `hidden` is the width inside the projector, 0 for twice that of the features, `predictor`
    that inside the predictor, 0 for the same. Both are dropped after training. passes: "split", the paper's, sends one
    view after the other through network and predictor; "joint" both as one batch. The probe is that of simclr.

    Grill et al. 2020, eq. 2 and its sum of both views; decay=cosine(0.996, 1.0) is theirs, moved here once an epoch.

    views: the pair of views of images, "cifar" by default (`data.views.view_sets`); other inputs have no other.

    Works: Small batches, since no row is a negative of another; rows of the same class do not repel each other.

    Breaks: Nothing in the loss forbids a constant, whose loss is 0: a loss near 0 beside a probe near chance is that. A
    decay near 1 in a short training: the targets stay those of a random network. It has no temperature.

    Paper and code: Theirs has 4096 and 256 units on a ResNet-50, as here, LARS, and views of unequal strength (blur,
    solarisation), which are alike here. decay = 0.99 is that of lightly's recipe for CIFAR, constant; solo-learn's goes
    from 0.99 to 1. The paper's 0.996 is for hundreds of thousands of steps.
    """

    def host(network: Any, rows: Part) -> nn.Module:
        inside = predictor or network.head.layers[0].out_features
        return BYOL(Projection(dim, 0, dim=dim, hidden=inside, last="none"), decay, passes)

    projection = {"dim": dim, "hidden": hidden, "last": "none", "wider": WIDER}
    return Method(
        lambda recipe: [
            encoder_stage(recipe, SELF, host, passes=passes, projection=projection, views=pair_of_views(views)),
            probe_stage(recipe),
        ],
        cited("grill2020bootstrap"),
        task=SELF_SUPERVISED,
        projects=dim,
        slots=ENCODER_SLOTS - {"temperature"},
        own=BYOL_RECIPE,
        checks=(has_views(views),),
        trains="an encoder",
    )
