"""Focal SimCLR: pairs that are found easily weigh less."""

from __future__ import annotations

from typing import Any

from longtail.catalogue.encoders import ENCODER_SLOTS, encoder_stage, probe_stage
from longtail.catalogue.method import SELF, Method
from longtail.catalogue.references import cited
from longtail.catalogue.tasks import SELF_SUPERVISED
from longtail.catalogue.view_sets import USUAL, Views, has_views
from longtail.data.views.view_sets import pair_of_views
from longtail.facts.knobs import NonNegative, Positive
from longtail.learners.hosts import FocalNTXent
from longtail.methods.selfsup.simclr import Passes, Width

GH_RECIPE: dict[str, Any] = {
    "lr": 0.5, "batch_size": 512, "weight_decay": 5e-4, "decay": "cosine",
    "warmup": lambda epochs: max(2, round(10 * epochs / 1000)),
}  # fmt: skip
"""Recipe of GH on long-tailed CIFAR, but for the ResNet-18: 10 of 1000 epochs are warm-up there."""


def focal_simclr(
    *, t: Positive = 0.2, gamma: NonNegative = 2.0, dim: Width = 128, passes: Passes = "joint", views: Views = USUAL
) -> Method:
    """Focal SimCLR: simclr in which an anchor that finds its partner easily weighs less; a probe classifies.

    loss = mean over 2N anchors i of -(1 - p_i)^gamma log p_i, p_i = exp(s_ip / t) / sum_{k != i} exp(s_ik / t).

    p_i is simclr's probability of the partner among the 2N - 1 candidates; the factor has a gradient. gamma = 0 is
    simclr. Views, projector, passes and probe are those of simclr.

    Lin et al. 2017, eq. 4. On NT-Xent it is a baseline of Zhou et al. 2023 (GH), with gamma = 2 and t = 0.2.

    views: the pair of views of images, "cifar" by default (`data.views.view_sets`); other inputs have no other.

    Works: Where rows that are hard to tell from others are the rare ones.

    Breaks: A row is hard for many reasons, such as strong views or a duplicate among the rows. Where all are hard, as
    in large batches at the start, it is nearly simclr.

    Paper and code: The focal paper has it for labels only. GH's baseline takes the mean of a row's two anchors and does
    not detach the factor, as here.
    """
    return Method(
        lambda recipe: [
            encoder_stage(
                recipe,
                SELF,
                lambda network, rows: FocalNTXent(t, gamma),
                passes=passes,
                projection={"dim": dim},
                views=pair_of_views(views),
            ),
            probe_stage(recipe),
        ],
        cited("lin2017focal"),
        task=SELF_SUPERVISED,
        projects=dim,
        slots=ENCODER_SLOTS,
        own=GH_RECIPE,
        checks=(has_views(views),),
        trains="an encoder",
    )
