"""Spaces: what is read, and what is refused before anything is trained."""

from dataclasses import replace
from pathlib import Path

import pytest

from longtail.comparison.plan import Task
from longtail.engine import Recipe
from longtail.methods.tuning.search import at_random, best_of, coordinate, grid
from longtail.methods.tuning.space import Interval, space

NAN = float("nan")


def test_a_grid_has_every_combination_and_the_recipe_is_beside_it():
    one = space("ldam(scale=[10, 20], max_margin=0.4)", "weight_decay=[1e-4, 5e-4]")
    made = [one.candidate(setting, Recipe()) for setting in grid(one)]
    assert [(c.spec, c.changes["weight_decay"]) for c in made] == [
        (f"ldam(max_margin=0.4, scale={scale})", decay) for scale in (10.0, 20.0) for decay in (1e-4, 5e-4)
    ]
    assert made[0].text == "ldam(max_margin=0.4, scale=10.0) with weight_decay=0.0001"


def test_tuples_and_words_are_values():
    one = space('absgd(base=["ce", "ldam(scale=20, max_margin=0.4)"])')
    assert [one.candidate(s, Recipe()).spec.startswith("absgd") for s in grid(one)] == [True, True]


def test_random_settings_are_distinct_inside_and_begin_alike():
    one = space("absgd(lam=log(0.1, 10))", "epochs=[5, 10]")
    assert one.varied["lam"] == Interval(0.1, 10.0, log=True)
    drawn = at_random(one, 20)
    assert len({tuple(s.items()) for s in drawn}) == 20
    assert drawn[:5] == at_random(one, 5) != at_random(one, 5, seed=1)
    assert all(0.1 <= float(s["lam"]) <= 10 for s in drawn)
    assert sum(float(s["lam"]) < 1 for s in at_random(one, 400)) == pytest.approx(200, abs=50)  # five deviations
    assert len(at_random(space("ce", "epochs=[5, 10]"), 20)) == 2


def test_coordinate_search_reaches_the_best_of_a_separable_metric():
    one = space("ldam(scale=[10, 20, 30], max_margin=[0.1, 0.5, 0.9])")
    asked = []

    def evaluate(settings):
        asked.extend(settings)
        return [-abs(float(s["scale"]) - 20) - abs(float(s["max_margin"]) - 0.9) for s in settings]

    assert coordinate(one, evaluate) == {"scale": "20", "max_margin": "0.9"}
    assert len({tuple(s.items()) for s in asked}) < 9  # fewer than the grid
    assert coordinate(one, lambda settings: [NAN] * len(settings)) == {"scale": "10", "max_margin": "0.1"}
    assert best_of([NAN, 1.0, 1.0]) == 1


@pytest.mark.parametrize(
    ("spec", "recipe", "words"),
    [
        ("absgd", "", "several values"),
        ("absgd(lam=[1])", "", "several values"),
        ("no-such", "", "unknown method"),
        ("no-such(a=[1, 2])", "", "unknown method"),
        ("absgd(lamm=[1, 2])", "", "lamm"),
        ("ldam(scale=[1, -2])", "", "scale must be"),
        ("absgd(lam=log(-1, 2))", "", "0 < a < b"),
        ("absgd(lam=uniform(2, 1))", "", "a < b"),
        ("ldam(scale=uniform(-1, 1))", "", "scale must be"),
        ("absgd(lam=[])", "", "list a value"),
        ("absgd([1, 2])", "", "knob=value"),
        ("absgd(lam=[1, 2], lam=3)", "", "twice"),
        ("ce", "weight_decay=[0, -1]", "weight_decay must be"),
        ("ce", "epochs=uniform(2, 10)", "epochs must be an integer"),
        ("ce", "test=[0.1, 0.2]", "vary and set take numbers of the recipe"),
        ("ce", "lr=[fast, slow]", "lr must be a number"),
        ("mixup(base=['ce', 'ce-tuned'])", "", "which searches for its own training"),
    ],
)
def test_refused(spec, recipe, words):
    with pytest.raises((ValueError, TypeError), match=words):
        space(spec, recipe)


def test_intervals_are_for_random_search_alone():
    one = space("absgd(lam=log(0.1, 10))")
    for search in (grid, lambda s: coordinate(s, lambda settings: [0.0])):
        with pytest.raises(ValueError, match="must be a list for this search"):
            search(one)


def test_a_drop_of_the_learning_rate_is_made_where_the_recipe_has_a_cosine():
    cosine = Recipe(decay="cosine", epochs=10, drop=0.5)
    one = space("ce", "drop=[0.1, 0.01]")
    made = [one.candidate(setting, cosine) for setting in grid(one)]
    rates = [candidate.under(cosine).learning_rate(0.95) for candidate in made]
    assert rates == pytest.approx([cosine.lr * 0.1**2, cosine.lr * 0.01**2])
    run = Task("ce", 0, Path(), tuple(made[0].changes.items()))
    assert run.under(cosine) == made[0].under(cosine) == replace(cosine, drop=0.1, decay="steps")
