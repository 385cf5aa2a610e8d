"""MoCo: one view must find the momentum network's key of the other one among the keys of a queue."""

from __future__ import annotations

from typing import Annotated, Any

from longtail.catalogue.encoders import ENCODER_SLOTS, encoder_stage, probe_stage
from longtail.catalogue.method import SELF, Check, Method, Note
from longtail.catalogue.references import cited
from longtail.catalogue.tasks import SELF_SUPERVISED
from longtail.catalogue.view_sets import USUAL, Views, has_views
from longtail.data import Part
from longtail.data.views.view_sets import pair_of_views
from longtail.engine import Recipe
from longtail.facts.knobs import Fraction, Positive, Range
from longtail.learners.queue import MoCo
from longtail.methods.selfsup.simclr import Width

Places = Annotated[int, Range(1, integer=True)]
Hidden = Annotated[int, Range(0, integer=True)]
MOCO_RECIPE: dict[str, Any] = {
    "lr": 0.03, "batch_size": 256, "weight_decay": 1e-4, "decay": "cosine", "warmup": 0,
}  # fmt: skip
"""Recipe of MoCo v2 on ImageNet, but for the 200 epochs and the ResNet-50."""


def moco(
    *,
    t: Positive = 0.2,
    queue: Places = 4096,
    decay: Fraction = 0.99,
    dim: Width = 128,
    hidden: Hidden = 0,
    views: Views = USUAL,
) -> Method:
    """MoCo v2: one view must find the momentum network's key of the other in a queue of keys; a probe classifies.

    loss = mean over N rows i of -log( exp(s(q_i, k_i) / t) / (exp(s(q_i, k_i) / t) + sum_n exp(s(q_i, n) / t)) ).

    s: cosine; q_i: the projection of the first view of row i; k_i: that of its second view by the moving average of the
    network, without a gradient; n: the keys of the queue, none of the batch. After every step the average moves, mean
    <- decay mean + (1 - decay) network, and the batch's keys take the places of the oldest ones. t and decay may be
    schedules. The projector is Linear, ReLU, Linear without batch norms, as wide as the features (`hidden` = 0); it is
    dropped after training. Each view has a pass of its own. The probe is that of simclr.

    `queue` must be a multiple of the batch size; after the shorter last batch of an epoch it is filled over the seam.
    It begins empty: places without a key are left out, so that the first step changes nothing but by weight decay. Keys
    of the row itself, which are older views of it, are left out too, so that a queue may have more places than there
    are rows; its oldest keys are then epochs old. Take at most about half as many places as rows.

    He et al. 2020, eq. 1, 2 and algorithm 1; Chen et al. 2020 (v2) for projector, views and t = 0.2.

    views: the pair of views of images, "cifar" by default (`data.views.view_sets`); other inputs have no other.

    Works: Many negatives with small batches: their number is that of the queue.

    Breaks: Few rows: below about a thousand, other views of the same few rows are the negatives again and again, and
    simclr has as many in its batch. A large decay in a short training: the average stays near its start.

    Paper and code: Theirs has 65536 places and decay = 0.999 for 1.3 million images and 200 epochs; 4096 places are
    those of facebook's and lightly's recipes for CIFAR, 0.99 is lightly's decay. There the queue begins with random
    directions, and rows of the batch are shuffled between devices before the keys' batch norms; on one device there is
    nothing to shuffle.
    """
    return Method(
        lambda recipe: [
            encoder_stage(
                recipe,
                SELF,
                lambda network, rows: MoCo(queue, network.head.out_features, t, decay),
                projection={"dim": dim, "hidden": hidden, "norm": False},
                views=pair_of_views(views),
            ),
            probe_stage(recipe),
        ],
        cited("he2020momentum"),
        task=SELF_SUPERVISED,
        projects=dim,
        slots=ENCODER_SLOTS,
        checks=(in_whole_batches(queue), has_views(views)),
        notes=(of_few_rows(queue),),
        own=MOCO_RECIPE,
        trains="an encoder",
    )


def in_whole_batches(queue: int) -> Check:
    """Return the check that whole batches fill the queue."""

    def check(recipe: Recipe, rows: Part) -> str | None:
        size = recipe.batch_size
        if queue % size == 0:
            return None
        fitting = max(1, queue // size) * size
        return f"queue must be a multiple of the batch size, {size}, got {queue}; take queue={fitting}"

    return check


def of_few_rows(queue: int) -> Note:
    """Return the note on a queue of more places than half of the rows."""

    def note(rows: Part) -> str | None:
        if 2 * queue <= len(rows):
            return None
        return (
            f"moco's queue of {queue} places is larger than half of the {len(rows)} labelled rows: it holds keys of "
            "earlier epochs, several of one row; a smaller queue= holds younger ones"
        )

    return note
