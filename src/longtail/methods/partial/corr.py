"""CORR: two views of a row agree with confidences in its candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import Tensor

from longtail.catalogue.method import SELF, Method
from longtail.catalogue.one_stage import stage_under
from longtail.catalogue.references import cited
from longtail.catalogue.tasks import PARTIAL
from longtail.data import Part, TrainingSet
from longtail.data.views import Mixing
from longtail.engine import Built, Recipe, Stage
from longtail.engine.recipe import USUAL
from longtail.facts.knobs import NonNegative, NonNegativeFloat, PositiveFloat, UnitStart
from longtail.facts.learner import Learner
from longtail.facts.schedules import at
from longtail.facts.types import Progress
from longtail.functional import consistent_candidates
from longtail.learners import ViewsLearner
from longtail.methods.partial.proden import PRODEN_SLOTS
from longtail.targets import Confidences


def corr(
    *,
    consistency: NonNegative = 1.0,
    mixup: NonNegativeFloat = 0.0,
    alpha: PositiveFloat = 4.0,
    start: UnitStart = 0.0,
) -> Method:
    """CORR: a weak and a strong view agree with one confidence per candidate, and other classes are lowered in both.

    loss = sum_v [sum_{k not in S} -log(1 - p_vk) + consistency KL(q || p_v)] over the views v, mean over the batch;
    then q_k <- sqrt(p_wk p_sk) [k in S], renormalised.

    p_v = softmax(z_v), z_v (N, C) the logits of the weak view w and the strong view s, which go through the network in
    one pass; S: candidates (N, C) bool; q: confidences (N, C), uniform on S at first and constant in the gradient. The
    views are those of fixmatch, for images, tables and features. `start` is the share of the epochs before the first
    update of q. consistency may be a schedule.

    mixup > 0 adds as much of the same loss on blends of each view with that of another row, in a share of
    Beta(alpha, alpha) or 1 less it, whichever is larger: q is blended alike, and both rows' candidates are not lowered.
    Blends count from `start` on.

    Wu et al. 2022, in the form of Hong et al. 2023 (RECORDS), whose table has mixup=1 in the rows of CORR + RECORDS.

    Works: Views do not change the class: then confidences are of two views, and steadier than proden's. In Hong et al.
    2023 its accuracy on CIFAR-10 at ratio 100 and ambiguity 0.3 is 69.1 %, that of proden 65.7.

    Breaks: It ignores class sizes: confidences move to the frequent candidates (records over it). Where views change
    the class it teaches wrong sets. A step costs two of proden's, with mixup four.

    Paper and code: The paper has three views, lowers other classes in the view without augmentation alone, and lets
    `consistency` grow over 100 epochs; RECORDS' code has the loss above. There a candidate whose confidence underflows
    to 0 is lowered like another class; here S itself says which are. It begins to update q after the first epoch.
    """

    def stages(recipe: Recipe) -> Sequence[Stage]:
        def build(data: TrainingSet, previous: Learner | None) -> Built:
            rows = data.labeled.drawn(recipe.batch_size, views=("weak", "strong"))
            learner = ViewsLearner(
                recipe.network(data.labeled),
                _consistent(consistency),
                Confidences(data.labeled.targets, start),
                mixup=mixup,
                start=start,
            )
            return Built(learner, replace(rows, mixing=Mixing(alpha)) if mixup else rows)

        return [stage_under(recipe, "train", SELF, build)]

    return Method(stages, cited("wu2022revisiting"), task=PARTIAL, slots=PRODEN_SLOTS, checks=(own_views,))


def own_views(recipe: Recipe, rows: Part) -> str | None:
    """Return why a method with views of its own cannot be trained with this augmentation; None where it can."""
    if recipe.augmentation == USUAL:
        return None
    return f"augmentation must be {USUAL}, since it has views of its own, got {recipe.augmentation}; leave it out"


def _consistent(consistency: NonNegative) -> Callable[[Tensor, Tensor, Tensor, Progress], Tensor]:
    def criterion(views: Tensor, q: Tensor, candidates: Tensor, progress: Progress) -> Tensor:
        return consistent_candidates(views, q, candidates, at(consistency, progress, "consistency"))

    return criterion
