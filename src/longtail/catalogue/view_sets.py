"""The knob that chooses the contrastive views of an encoder, and the data that do not have them."""

from __future__ import annotations

from typing import Annotated

from longtail.catalogue.method import Check
from longtail.data import Part
from longtail.data.views.policies import default_policy
from longtail.data.views.view_sets import USUAL, VIEW_SETS, sets_for
from longtail.engine import Recipe
from longtail.facts.knobs import Choice

Views = Annotated[str, Choice(tuple(VIEW_SETS))]
"""A knob of a method that compares views: the name of a pair of `VIEW_SETS`, `USUAL` by default."""

__all__ = ["USUAL", "Views", "has_views"]


def has_views(name: str) -> Check:
    """Return the check (`Method.checks`) that the data have a pair of views."""

    def check(recipe: Recipe, rows: Part) -> str | None:
        known = sets_for({**default_policy(rows.input_shape, rows.augment), **rows.policy})
        if name in known:
            return None
        return f"views must be {' or '.join(known)} for inputs of this kind, got {name!r}; leave it out"

    return check
