"""Networks of the user's own: made by a factory, split before their last layer so that every method can use them."""

from __future__ import annotations

from longtail.models.own.build import OWN, OwnBody, build_own
from longtail.models.own.factory import Factory, check_factory, make
from longtail.models.own.identity import OwnNetwork, structure_of

__all__ = ["OWN", "Factory", "OwnBody", "OwnNetwork", "build_own", "check_factory", "make", "structure_of"]
