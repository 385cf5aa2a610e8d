"""FixMatch and CReST with knobs that act within the few steps of these tests."""

from __future__ import annotations

from typing import Annotated

from longtail.catalogue.method import Method
from longtail.facts.knobs import NonNegativeFloat, Range, UnitFloat
from longtail.methods.semi import crest as generations_of
from longtail.methods.semi import fixmatch as leaf
from longtail.methods.semi.crest import Base, PlusBase

Count = Annotated[int, Range(1, integer=True)]


def fixmatch(
    *, threshold: NonNegativeFloat = 0.6, consistency: NonNegativeFloat = 1.0, decay: UnitFloat = 0.5, mu: Count = 1
) -> Method:
    """`longtail.methods.semi.fixmatch` with knobs that act within 25 steps.

    loss = as there.
    """
    return leaf.fixmatch(threshold=threshold, consistency=consistency, decay=decay, mu=mu)


def crest(*, base: Base = "fixmatch", generations: Count = 2) -> Method:
    """`longtail.methods.semi.crest` with generations of more than one epoch.

    loss = as there.
    """
    return generations_of.crest(base=base, generations=generations)


def crest_plus(*, base: PlusBase = "fixmatch", generations: Count = 2) -> Method:
    """`longtail.methods.semi.crest` with generations of more than one epoch, and alignment.

    loss = as there.
    """
    return generations_of.crest_plus(base=base, generations=generations)


METHODS = {"fixmatch": fixmatch, "crest": crest, "crest-plus": crest_plus}
