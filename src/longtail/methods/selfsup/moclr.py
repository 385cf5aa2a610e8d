"""MoCLR: SimCLR's negatives in the batch against keys of a momentum network."""

from __future__ import annotations

from longtail.catalogue.encoders import ENCODER_SLOTS, encoder_stage, probe_stage
from longtail.catalogue.method import SELF, Method
from longtail.catalogue.references import cited
from longtail.catalogue.tasks import SELF_SUPERVISED
from longtail.catalogue.view_sets import USUAL, Views, has_views
from longtail.data.views.view_sets import pair_of_views
from longtail.facts.knobs import Fraction, Positive
from longtail.learners.hosts import MoCLR
from longtail.methods.selfsup.byol import WIDER
from longtail.methods.selfsup.moco import Hidden
from longtail.methods.selfsup.simclr import Passes, Width


def moclr(
    *,
    t: Positive = 0.2,
    decay: Fraction = 0.99,
    dim: Width = 256,
    hidden: Hidden = 0,
    passes: Passes = "split",
    views: Views = USUAL,
) -> Method:
    """MoCLR: each view must find the momentum network's key of the other among the batch's; a probe classifies.

    loss = mean over N rows i of the sum of -log( exp(s(q_i, k_i) / t) / sum_j exp(s(q_i, k_j) / t) ), both ways.

    s: cosine; q: projections (N, dim) of one view by the network, k: those of the other view by its moving average,
    without a gradient. Negatives are the N - 1 other keys; there is no queue and no predictor. After every step mean <-
    decay mean + (1 - decay) network. t and decay may be schedules. The projector is Linear, BatchNorm, ReLU, Linear,
    BatchNorm; `hidden` is its width inside, 0 for twice that of the features; it is dropped after training. passes:
    "split" sends one view after the other through a network, "joint" both as one batch. The probe is that of simclr.

    Tian et al. 2021, section 3.1: the first stage of DnC. There dim = 256 and hidden = 4096 on a ResNet-50, as here,
    and decay=cosine(0.996, 1.0).

    views: the pair of views of images, "cifar" by default (`data.views.view_sets`); other inputs have no other.

    Works: Large batches of many rows, where simclr works.

    Breaks: A small batch has few negatives, half as many as simclr's. A decay near 1 in a short training: the keys stay
    those of a random network.

    Paper and code: No code was released, and the text read states no temperature: t = 0.2 is our choice, that of moco.
    decay = 0.99 is ours for small data, as in byol. Theirs has LARS and batches of 4096.
    """
    return Method(
        lambda recipe: [
            encoder_stage(
                recipe,
                SELF,
                lambda network, rows: MoCLR(t, decay),
                passes=passes,
                projection={"dim": dim, "hidden": hidden, "wider": WIDER},
                views=pair_of_views(views),
            ),
            probe_stage(recipe),
        ],
        cited("tian2021divide"),
        task=SELF_SUPERVISED,
        projects=dim,
        slots=ENCODER_SLOTS,
        checks=(has_views(views),),
        trains="an encoder",
    )
