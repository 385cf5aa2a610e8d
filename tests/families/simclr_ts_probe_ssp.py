"""TS: simclr with a temperature schedule; and SSP, where any method starts from the encoder of simclr."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from longtail.catalogue.compose import PLAIN, BaseMethod
from longtail.catalogue.method import SELF, Method
from longtail.catalogue.references import Reference
from longtail.data import TrainingSet
from longtail.engine import Built, Recipe, Stage
from longtail.facts.knobs import Positive, PositiveFloat
from longtail.facts.learner import Learner
from longtail.facts.schedules import Cycle
from longtail.learners import PairLearner
from longtail.methods.selfsup.simclr import simclr, simclr_stages

Base = Annotated[Method, BaseMethod(slots=("start",))]
KUKLEVA_2023 = Reference("kukleva2023temperature", "Anna Kukleva", "Temperature Schedules", "ICLR", 2023)
YANG_2020 = Reference("yang2020rethinking", "Yuzhe Yang", "Rethinking the Value of Labels", "NeurIPS", 2020)


def simclr_ts(*, low: PositiveFloat = 0.1, high: PositiveFloat = 1.0, cycles: PositiveFloat = 2.0) -> Method:
    """SimCLR with a temperature schedule; low = high is simclr.

    loss = NT-Xent at t(p) = low + (high - low)(1 + cos(2 pi cycles p)) / 2.
    """
    return replace(simclr(t=Cycle(low, high, cycles)), reference=KUKLEVA_2023)


def ssp(*, base: Base = PLAIN, t: Positive = 0.2) -> Method:
    """SSP: self-supervised first, then `base` from those features.

    loss = NT-Xent; then that of `base`.
    """

    def stages(recipe: Recipe) -> Sequence[Stage]:
        first, *rest = base.stages(recipe)
        encoder, _ = simclr_stages(recipe, t)

        def build(data: TrainingSet, previous: Learner | None) -> Built:
            assert isinstance(previous, PairLearner)
            built = first.build(data, None)
            for part in ("standardize", "body"):
                getattr(built.learner.network, part).load_state_dict(getattr(previous.network, part).state_dict())
            return built

        return [encoder, replace(first, spec=f"{first.spec} from {SELF}", build=build), *rest]

    slots = base.slots & {"update", "classifier", "linear head"}  # an encoder has no losses to weigh
    taken = base.taken | {"start"}
    return replace(base, stages=stages, taken=taken, slots=slots, reference=YANG_2020)


METHODS = {"simclr-ts": simclr_ts, "ssp": ssp}
