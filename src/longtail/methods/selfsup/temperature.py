"""TS: the temperature of a contrastive loss follows a cosine."""

from __future__ import annotations

import math
from typing import Annotated, Any

from longtail.catalogue.encoders import encoder_base, over_encoders
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.data import TrainingSet
from longtail.engine import Built
from longtail.facts.knobs import PositiveFloat
from longtail.facts.late import Late
from longtail.facts.schedules import Cycle
from longtail.learners import PairLearner

Base = Annotated[Method, encoder_base("temperature")]
SIMCLR: Any = "simclr"


def ts(
    *, base: Base = SIMCLR, low: PositiveFloat = 0.1, high: PositiveFloat = 1.0, cycles: PositiveFloat = 5
) -> Method:
    """TS: the temperature of `base` swings between low and high, between telling rows apart and grouping them.

    loss = that of `base` at temperature t(p) = low + (high - low)(1 + cos(2 pi cycles p)) / 2.

    p = e / E after e of E epochs: it begins at `high` and is constant within an epoch. The temperature of the base is
    not used; a base without one is refused. A cycle takes E / cycles epochs and must have two at least. low = high is
    the base at that temperature.

    Kukleva et al. 2023, eq. 3, with T = E / cycles epochs.

    Works: By the paper a low temperature separates single rows and a high one groups them by what they have in common;
    frequent classes gain from the second, rare ones from the first, and a schedule serves both. Any loss with a
    temperature takes it, at no cost.

    Breaks: Short trainings, whose cycles are a few epochs each. The probe reads the features of the last epochs, at
    temperatures near `high` where `cycles` is an integer.

    Paper and code: low 0.1, high 1 and T = 400 of 2000 epochs, 5 cycles, are those of the published commands. Their
    epochs count from 1, here from 0: their schedule is one epoch ahead. The published script reads three arguments that
    it does not declare, and fails; of the schedules it names, only the cosine is there.
    """
    if low > high:
        raise ValueError(f"low must be at most high={high}, got {low}; exchange the two")
    swing = Cycle(low, high, cycles)

    def change(built: Built, data: TrainingSet) -> Built:
        learner = built.learner
        assert isinstance(learner, PairLearner)
        return built._replace(learner=learner.varied(temperature=swing))

    turns = Late(f"its {cycles:g} cycles", lambda p: high - swing(p), "lower cycles", least=math.ceil(2 * cycles))
    return over_encoders(base, "temperature", change, late=(turns,), reference=cited("kukleva2023temperature"))
