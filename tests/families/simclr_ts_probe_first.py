"""TS: simclr with a temperature schedule; and any method that starts from the encoder of simclr."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from longtail.catalogue.compose import PLAIN, BaseMethod
from longtail.catalogue.encoders import pretrained
from longtail.catalogue.method import Method
from longtail.catalogue.references import Reference
from longtail.facts.knobs import Positive, PositiveFloat
from longtail.facts.schedules import Cycle
from longtail.methods.selfsup.simclr import simclr, simclr_stages

Base = Annotated[Method, BaseMethod(slots=("start",))]
KUKLEVA_2023 = Reference("kukleva2023temperature", "Anna Kukleva", "Temperature Schedules", "ICLR", 2023)
YANG_2020 = Reference("yang2020rethinking", "Yuzhe Yang", "Rethinking the Value of Labels", "NeurIPS", 2020)


def simclr_ts(*, low: PositiveFloat = 0.1, high: PositiveFloat = 1.0, cycles: PositiveFloat = 2.0) -> Method:
    """SimCLR with a temperature schedule; low = high is simclr.

    loss = NT-Xent at t(p) = low + (high - low)(1 + cos(2 pi cycles p)) / 2.
    """
    return replace(simclr(t=Cycle(low, high, cycles)), reference=KUKLEVA_2023)


def simclr_first(*, base: Base = PLAIN, t: Positive = 0.2) -> Method:
    """SimCLR first, then `base` from those features: SSP with another pretext than rotation, for inputs of any kind.

    loss = NT-Xent; then that of `base`.
    """
    return pretrained(base, lambda recipe: simclr_stages(recipe, t)[0], reference=YANG_2020)


METHODS = {"simclr-ts": simclr_ts, "simclr-first": simclr_first}
