"""Recipes of the papers on long-tailed data, shortened."""

from __future__ import annotations

from tests.cases import cases

from longtail.engine import Recipe
from longtail.methods import method


@cases(("spec", "usual"), [("simclr", 2000), ("ts", 2000), ("focal-simclr", 1000), ("gh", 1000)])
def test_a_shortened_recipe_of_its_own_keeps_the_share_of_its_warm_up(spec: str, usual: int) -> None:
    under = {epochs: method(spec).under(Recipe(epochs=epochs, kind="own")) for epochs in (12, usual)}
    assert {epochs: recipe.warmup for epochs, recipe in under.items()} == {12: 2, usual: 10}
    assert method(spec).under(Recipe(epochs=12)).warmup is None
