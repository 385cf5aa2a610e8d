"""Which methods can start from an encoder that was trained before."""

from __future__ import annotations

from collections.abc import Collection

from longtail.data import Part
from longtail.engine import Recipe


def refuses_start(recipe: Recipe, rows: Part, *, taken: Collection[str], instead: str | None) -> str | None:
    """Return why a method's network cannot start from the recipe's pretrained one; None where it can or none is given.

    Args:
        recipe: with the arguments of the network that the method sets.
        rows: with labels.
        taken: the slots that the method has filled.
        instead: what it trains in place of a network, in words; None where it trains one.

    Raises:
        ValueError: no network for these rows can start from it.
    """
    start = recipe.pretrained
    if start is None:
        return None
    way_out = "leave it out, or leave out pretrained (--pretrained)"
    if instead is not None:
        return f"trains {instead}, which cannot start from {start.words}; {way_out}"
    if "start" in taken:
        return f"starts from a training of its own, not from {start.words}; {way_out}"
    start.check_inputs(rows.input_shape)
    why = start.refuses(recipe.sketch(rows))
    return None if why is None else f"{why}; {way_out}"
