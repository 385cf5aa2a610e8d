"""SoLar: labels on the candidates whose class totals follow estimated class shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from torch import Tensor

from longtail.catalogue.method import SELF, Method
from longtail.catalogue.one_stage import stage_under
from longtail.catalogue.references import cited
from longtail.catalogue.tasks import PARTIAL
from longtail.data import TrainingSet
from longtail.data.views import Mixing
from longtail.engine import Built, Recipe, Stage
from longtail.facts.knobs import PositiveFloat, Range, UnitFloat
from longtail.facts.late import Late
from longtail.facts.learner import Learner
from longtail.learners import SolarLearner
from longtail.methods.partial.corr import own_views
from longtail.targets import Assigned

Batches = Annotated[int, Range(0, integer=True)]
LESS = Range(0, 1, open_high=True)
Estimation = Annotated[float, LESS]


def solar(
    *,
    queue: Batches = 64,
    sharpness: PositiveFloat = 3.0,
    eta: UnitFloat = 0.9,
    rho_start: UnitFloat = 0.2,
    rho: UnitFloat = 0.6,
    tau: UnitFloat = 0.99,
    ramp: UnitFloat = 0.05,
    mixup: bool = True,
    alpha: PositiveFloat = 4.0,
    estimation: Estimation = 0.1,
    gamma_estimation: UnitFloat = 0.1,
    gamma: UnitFloat = 0.01,
) -> Method:
    """SoLar: labels whose class totals are estimated shares, taught where they are reliable, by two views and mixup.

    loss = e (mean over selected rows of CE(z_w, y) + CE(z_s, y), + mean over their blends of CE(z~, y~))
    + (1 - e) mean over the other rows of -sum_k q_k log softmax(z_w)_k.

    y minimise sum_i KL(y_i || q_i^sharpness) over the batch and the rows of the last `queue` batches, with rows on the
    simplex and class totals r_k times the rows; q: softmax(z_w) on the candidates, renormalised, for the other rows
    that of their last step; w and s: the weak and the strong view. Selected are, of the rows labelled j, the ceil(B r_j
    rho) of smallest loss, one at least, and all with <y, softmax(z_w)> > tau. e grows from 0 to `eta`, and rho from
    `rho_start` to `rho`, until the share `ramp` of the epochs; while e = 0 all rows learn q, and a training in which e
    would never grow is refused. Blends are of the selected rows' weak views with each other, in a share of Beta(alpha,
    alpha) or 1 less it, whichever is larger.

    r: uniform at first; after each epoch r <- (1 - gamma) r + gamma (shares of the likeliest candidates of all training
    rows). It is estimated in a first training of the share `estimation` of the epochs (one at least; 0 leaves it out),
    with `gamma_estimation`, and goes on from there in the second one, of a new network. The shares of each epoch are in
    the records of a run and, where the true labels are known, their distance to the true ones is drawn as prior.svg.
    eta = 0 teaches q alone.

    Wang et al. 2022.

    Works: A long tail of which predictions alone would label too many rows as frequent: the totals hold rare labels. In
    Hong et al. 2023, CIFAR-10 at ratio 100 and ambiguity 0.3, it has 75.4 % accuracy, and 79.8 corr with records and
    mixup.

    Breaks: Shares that are estimated wrongly are imposed on the labels. A small batch times a small share selects a
    rare class's one row, right or wrong. The first training is one more; a step costs about three, and a projection.

    Paper and code: Values are those of the code for CIFAR-10, which ends rho at 0.8 by default and at 0.6 in the
    commands for CIFAR-10, 0.5 for CIFAR-100; 50 of 1000 epochs are `ramp`, 100 `estimation`. Its alternating scaling
    makes 50 rounds, exact in rows alone; ours is exact in both. Where no labels on the candidates have the totals, both
    allow other classes with probability 1e-5 and take them off again; here rows are then renormalised. Its views are
    two passes, ours one. Their last partial batch is dropped, ours is not.
    """

    assigned = Late("its labels", lambda p: eta * min(p / ramp, 1.0) if ramp else eta, "set ramp=0")

    def stages(recipe: Recipe) -> Sequence[Stage]:
        def made(data: TrainingSet, shares: Tensor | None, weight: float) -> Built:
            targets = Assigned(data.labeled.targets, queue * recipe.batch_size, sharpness=sharpness, shares=shares)
            learner = SolarLearner(
                recipe.network(data.labeled),
                targets,
                eta=eta,
                rho=(rho_start, rho),
                tau=tau,
                ramp=ramp,
                mixup=mixup,
                gamma=weight,
            )
            rows = data.labeled.drawn(recipe.batch_size, views=("weak", "strong"))
            return Built(learner, replace(rows, mixing=Mixing(alpha)) if mixup else rows)

        def first(data: TrainingSet, previous: Learner | None) -> Built:
            return made(data, None, gamma_estimation)

        def second(data: TrainingSet, previous: Any) -> Built:
            if previous is None:
                return made(data, None, gamma)
            previous.estimate(data.labeled)
            return made(data, previous.targets.prior, gamma)

        epochs = max(1, round(estimation * recipe.epochs)) if estimation else 0
        before = [stage_under(recipe, "estimate", f"{SELF} estimate", first, epochs)] if epochs else []
        last = replace(stage_under(recipe, "train", SELF, second), late=(assigned,))
        return [replace(stage, eager=WAITS) for stage in (*before, last)]

    return Method(stages, cited("wang2022solar"), task=PARTIAL, slots=frozenset({"update"}), checks=(own_views,))


WAITS = "labels are projected until their class totals are right, which waits for the device"
