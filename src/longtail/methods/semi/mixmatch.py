"""MixMatch and ReMixMatch: labelled rows and rows with guessed labels are mixed in one pool."""

from __future__ import annotations

from typing import Any

from torch import nn

from longtail.catalogue.method import Method
from longtail.data import Part, TrainingSet
from longtail.data.turned import quarter_turns
from longtail.data.views import Mixing
from longtail.facts.knobs import NonNegative, NonNegativeFloat, PositiveFloat, UnitFloat
from longtail.facts.schedules import Linear
from longtail.learners.mixmatch import MixMatch, ReMixMatch
from longtail.methods.semi.hosts import Count, host
from longtail.models.heads import find_head
from longtail.targets import Alignment, Guess, Soft

RAMP_75, RAMP_1_5, RAMP_0_5 = Linear(0.0, 75.0), Linear(0.0, 1.5), Linear(0.0, 0.5)


def mixmatch(
    *,
    consistency: NonNegative = RAMP_75,
    temperature: PositiveFloat = 0.5,
    alpha: PositiveFloat = 0.75,
    one_share: bool = False,
    mu: Count = 1,
    decay: UnitFloat = 0.999,
) -> Method:
    """MixMatch: rows without labels get the sharpened mean of two guesses; all rows are mixed with one another.

    loss = 1/B sum_b CE(z_b, y_b) + consistency 1/(2 mu B C) sum_u |softmax(z_u) - q_u|^2, all x, y and q mixed
    q = p^(1/temperature) / sum_k p_k^(1/temperature), p the mean softmax of the two views, without a gradient
    x <- l x + (1 - l) x', y <- l y + (1 - l) y', l = max(t, 1 - t), t from Beta(alpha, alpha)

    B labelled rows and mu B rows without labels a step. The pool that a row's partner x' comes from, by a random
    permutation, are the labelled rows and both views of the others. The weight `consistency` rises from 0 to 75 in
    proportion to progress, so that in a single epoch it would be 0, which is refused. A moving average of the
    parameters predicts. The pool is one pass through the network, with the batch norms' statistics of all; the pass
    that guesses has its own, which are not recorded.

    Images: both views are what supervised training does. Rows of a table and features have no such augmentation: both
    views are the strong one of fixmatch, 30 % of the columns from other rows, or noise; this is ours.

    Berthelot et al. 2019, eq. 2-11.

    Works: Rows without labels are of the same classes, and what lies between two rows is between their classes, too.

    Breaks: On a long tail guessed labels favour the frequent classes, and sharpening amplifies it (DARP, ABC). The
    weight 75 was chosen for ten classes and Adam at a rate of 0.002: of few classes the error, a mean over classes, is
    larger, and plain gradient steps at a high rate may end in one class; lower `consistency` then.

    Paper and code: Their code draws l for every pair, our default, and has weight 100 and alpha 0.5 as defaults; the
    paper has 75 and 0.75 for CIFAR-10, ours. DARP's code and USB draw one l a batch: `one_share`. The weight rises over
    the first 1/64 of the training in theirs and USB's, over all of it in DARP's, whose long-tailed results we compare
    with: our default (`consistency=75` has no ramp). They pass parts of the pool one by one, interleaved, and record
    the statistics of one of them; we pass it at once. Common recipe: as for fixmatch; recipe "own" is USB's.
    """

    def parts(data: TrainingSet, network: nn.Module) -> tuple[nn.Module, nn.Module, nn.Module]:
        return MixMatch(consistency), Guess(sharpen=temperature), Soft()

    def views(rows: Part) -> tuple[str, str]:
        return ("weak", "weak") if is_image(rows) else ("strong", "strong")

    mixing = Mixing(alpha, by_row=not one_share, larger=True)
    return host("mixmatch", "berthelot2019mixmatch", parts, views=views, mu=mu, decay=decay, mixing=mixing)


def remixmatch(
    *,
    consistency: NonNegative = RAMP_1_5,
    anchor: NonNegative = RAMP_0_5,
    rotation: NonNegativeFloat = 0.5,
    temperature: PositiveFloat = 0.5,
    window: Count = 128,
    alpha: PositiveFloat = 0.75,
    one_share: bool = False,
    mu: Count = 1,
    decay: UnitFloat = 0.999,
) -> Method:
    """ReMixMatch: guesses with the class shares of the labels teach strong views, all rows mixed as in MixMatch.

    loss = 1/B sum_b CE(z_b, y_b) + consistency 1/(3 mu B) sum_u CE(z_u, q_u), all x, y and q mixed as in mixmatch
        + anchor 1/(mu B) sum_u CE(z'_u, q_u) + rotation 1/(mu B) sum_u CE(r(z'_u turned), turn_u)
    q = a^(1/temperature) / sum_k a_k^(1/temperature), a_k = p_k (s_k + e) / (m_k + e) / sum_j, p of the weak view

    s are the class shares of the labelled rows, without any that CReST has added, m the mean of p over the latest
    `window` batches, e = 1e-6. The pool are the labelled rows, in their strong view, and a weak and two strong views of
    the others; z' is the first strong view, not mixed. It is turned by 0, 90, 180 or 270 degrees, equally often (0 or
    180 where images are not square), and r is a classifier of its own on the features. `consistency` rises from 0 to
    1.5 and `anchor` to 0.5 in proportion to progress; a single epoch, in which they would be 0, is refused. A moving
    average of the parameters predicts. Batch norms: the pool is one pass, whose statistics are recorded; the guess, and
    z' with its turned copy, are passes with their own, which are not.

    Views are those of fixmatch. Rows of a table and features cannot be turned: they have no rotation part.

    Berthelot et al. 2020, section 3, algorithm 1.

    Works: Rows without labels have the class shares of the labelled ones, and strong views do not change the class.

    Breaks: Rows without labels have other class shares: labels are moved towards wrong ones. With reversed shares USB
    reports 52.9 %, for fixmatch 62.1 % (CIFAR-10, 500 and 4000 rows, best epoch). Images without an upright direction.

    Paper and code: Their window starts with uniform shares and does not contain the present batch; DARP's code, as
    ours, has the present one and those before. Theirs aims at the shares of the unlabelled rows where these are known.
    The paper's CTAugment and eight strong views are not included; DARP and USB have two. Weights rise over the first
    1/64 of the training in theirs and USB's, over all of it in DARP's, our default. l is drawn for every pair in
    theirs, once a batch in DARP's and USB's (`one_share`). Common recipe: as for fixmatch; recipe "own" is USB's.
    """

    def parts(data: TrainingSet, network: nn.Module) -> tuple[nn.Module, nn.Module, nn.Module]:
        rows = data.labeled
        turns = quarter_turns(rows.input_shape) if rotation > 0 and is_image(rows) else ()
        own = ReMixMatch(consistency, anchor, rotation, classifier(network, len(turns)) if turns else None, turns)
        return own, Guess(sharpen=temperature, align=Alignment(data.given_counts, window)), Soft()

    return host(
        "remixmatch", "berthelot2020remixmatch", parts, views=lambda rows: ("weak", "strong", "strong"), mu=mu,
        decay=decay, mixing=Mixing(alpha, by_row=not one_share, larger=True), strengthened=True,
        notes=(without_rotation,) if rotation > 0 else (),
    )  # fmt: skip


def classifier(network: nn.Module, classes: int) -> nn.Linear:
    """Return a new classifier on the features of a network, Xavier-normal with zero bias."""
    size: Any = find_head(network, "head")[1].in_features
    layer = nn.Linear(size, classes)
    nn.init.xavier_normal_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def is_image(rows: Part) -> bool:
    """Return whether each row is an image."""
    return len(rows.input_shape) > 1


def without_rotation(rows: Part) -> str | None:
    """Return a note that the rotation part is missing; None for images."""
    if is_image(rows):
        return None
    return "remixmatch has no rotation loss here: rows of a table and features cannot be turned"
