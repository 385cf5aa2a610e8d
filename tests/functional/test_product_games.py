"""Shapley values of product games against the definition, over all orders of the players."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from longtail import functional


def brute_force(present: list[float], absent: list[float]) -> list[float]:
    """The mean over all orders of what a player changes by joining those before it."""

    def value(joined: set[int]) -> float:
        return math.prod(present[i] if i in joined else absent[i] for i in range(len(present)))

    found = [0.0] * len(present)
    for order in itertools.permutations(range(len(present))):
        joined: set[int] = set()
        for player in order:
            before = value(joined)
            joined = joined | {player}
            found[player] += value(joined) - before
    return [one / math.factorial(len(present)) for one in found]


@pytest.mark.parametrize("players", [1, 2, 3, 5, 6])
def test_the_values_are_those_of_the_definition(players: int) -> None:
    draw = torch.Generator().manual_seed(players)
    present = torch.rand(players, 4, generator=draw, dtype=torch.float64)
    present[:, :2] = (present[:, :2] > 0.4).double()  # as for leaves of trees
    absent = torch.rand(players, 4, generator=draw, dtype=torch.float64) + 0.01
    found = functional.product_shapley(present, absent)
    for n in range(4):
        expected = brute_force(present[:, n].tolist(), absent[:, n].tolist())
        torch.testing.assert_close(found[:, n].tolist(), expected, rtol=1e-12, atol=1e-14)


def test_many_players_still_add_up() -> None:
    draw = torch.Generator().manual_seed(0)
    present = (torch.rand(40, 3, generator=draw) > 0.05).double()
    absent = torch.rand(40, 1, generator=draw, dtype=torch.float64).clamp(min=0.5).expand(40, 3)
    found = functional.product_shapley(present, absent).sum(0)
    torch.testing.assert_close(found, present.prod(0) - absent.prod(0), rtol=1e-10, atol=1e-13)


def test_no_player_and_one_that_changes_nothing() -> None:
    assert functional.product_shapley(torch.ones(0, 2), torch.ones(0, 1)).shape == (0, 2)
    ones = functional.product_shapley(torch.tensor([[1.0], [0.0]]), torch.tensor([[1.0], [0.5]]))
    assert ones.flatten().tolist() == [0.0, -0.5]
