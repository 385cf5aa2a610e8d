"""TS: simclr with a temperature schedule."""

from __future__ import annotations

from dataclasses import replace

from longtail.catalogue.method import Method
from longtail.catalogue.references import Reference
from longtail.facts.knobs import PositiveFloat
from longtail.facts.schedules import Cycle
from longtail.methods.selfsup.simclr import simclr

KUKLEVA_2023 = Reference("kukleva2023temperature", "Anna Kukleva", "Temperature Schedules", "ICLR", 2023)


def simclr_ts(*, low: PositiveFloat = 0.1, high: PositiveFloat = 1.0, cycles: PositiveFloat = 2.0) -> Method:
    """SimCLR with a temperature schedule; low = high is simclr.

    loss = NT-Xent at t(p) = low + (high - low)(1 + cos(2 pi cycles p)) / 2.
    """
    return replace(simclr(t=Cycle(low, high, cycles)), reference=KUKLEVA_2023)


METHODS = {"simclr-ts": simclr_ts}
