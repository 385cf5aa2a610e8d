"""Any method that starts from the encoder of simclr."""

from __future__ import annotations

from typing import Annotated

from longtail.catalogue.compose import PLAIN, BaseMethod
from longtail.catalogue.encoders import pretrained
from longtail.catalogue.method import Method
from longtail.catalogue.references import Reference
from longtail.facts.knobs import Positive
from longtail.methods.selfsup.simclr import simclr_stages

Base = Annotated[Method, BaseMethod(slots=("start",))]
YANG_2020 = Reference("yang2020rethinking", "Yuzhe Yang", "Rethinking the Value of Labels", "NeurIPS", 2020)


def simclr_first(*, base: Base = PLAIN, t: Positive = 0.2) -> Method:
    """SimCLR first, then `base` from those features: SSP with another pretext than rotation, for inputs of any kind.

    loss = NT-Xent; then that of `base`.
    """
    return pretrained(base, lambda recipe: simclr_stages(recipe, t)[0], reference=YANG_2020)


METHODS = {"simclr-first": simclr_first}
