"""SimCLR: two views of a row attract each other, all other rows repel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from longtail.catalogue.encoders import ENCODER_SLOTS, encoder_stage, probe_stage
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.catalogue.tasks import SELF_SUPERVISED
from longtail.catalogue.view_sets import USUAL, Views, has_views
from longtail.data.views.view_sets import pair_of_views
from longtail.engine import Recipe, Stage
from longtail.facts.knobs import Knob, Positive, Range
from longtail.learners.branches import PASSES
from longtail.learners.hosts import NTXent

Width = Annotated[int, Range(1, integer=True)]
Passes = Annotated[str, PASSES]
SDCLR_RECIPE: dict[str, Any] = {
    "lr": 0.5, "batch_size": 512, "weight_decay": 1e-4, "decay": "cosine", "lr_per": "step",
    "warmup": lambda epochs: max(2, round(10 * epochs / 2000)), "warmup_from": "zero",
}  # fmt: skip
"""Recipe of SDCLR, BCL and TS on long-tailed CIFAR, but for the ResNet-18: 10 of 2000 epochs are warm-up there."""


def simclr(*, t: Positive = 0.2, dim: Width = 128, passes: Passes = "joint", views: Views = USUAL) -> Method:
    """SimCLR: two views of a row attract each other, all others repel; a probe on the frozen features classifies.

    loss = mean over 2N anchors i of -log( exp(s_ip / t) / sum_{k != i} exp(s_ik / t) ), labels unused.

    s: cosines of the projections (2N, dim) of two contrastive views of N rows; p: the other view of the same row, one
    of the 2N - 1 candidates. t may be a schedule. The projector is Linear, BatchNorm, ReLU, Linear, BatchNorm, as wide
    as the features; it is dropped after training. passes: "joint" sends both views through the network as one batch, so
    that batch norms share their statistics (SDCLR, BCL, TS); "split" sends one after the other (GH).

    Here as in all encoders, batches are somewhat larger than the recipe's where the last one of an epoch would have a
    single row, which has nothing to be compared with.

    Then a probe is fitted on the features of the labelled training rows (`--probe`): logistic regression on all rows
    unless another is named; all of them are in the table. Rows without labels train the encoder too.

    Chen et al. 2020, eq. 1 and algorithm 1. t = 0.2 and dim = 128 are those of the papers on long-tailed CIFAR, which
    train for 2000 epochs with batches of 512.

    views: the pair of views of images, "cifar" by default (`data.views.view_sets`); other inputs have no other.

    Works: Many rows, large batches and views that do not change the class; labels may be few or missing.

    Breaks: A small batch has few negatives. Rows of one class repel each other too, and on a long tail most negatives
    are of the frequent classes.

    Paper and code: The paper has no norms in the projector, the code has. The released code for long-tailed data
    exponentiates similarities and overflows at t = 0.01; here it is a log-softmax.
    """
    return Method(
        lambda recipe: simclr_stages(recipe, t, dim, passes, views),
        cited("chen2020simple"),
        task=SELF_SUPERVISED,
        slots=ENCODER_SLOTS,
        projects=dim,
        own=SDCLR_RECIPE,
        checks=(has_views(views),),
        trains="an encoder",
    )


def simclr_stages(
    recipe: Recipe, t: Knob, dim: int = 128, passes: str = "joint", views: str = USUAL
) -> Sequence[Stage]:
    """Return the encoder, one training for every method that begins with it, and its probe."""
    encoder = encoder_stage(
        recipe,
        f"simclr(t={t!r}, dim={dim}, passes={passes!r}, views={views!r})",
        lambda network, rows: NTXent(t),
        passes=passes,
        projection={"dim": dim},
        views=pair_of_views(views),
    )
    return [encoder, probe_stage(recipe)]
