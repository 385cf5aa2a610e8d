"""Cases in one test: each runs, and each that fails is named."""

from __future__ import annotations

import inspect

import pytest
from tests.cases import cases


def test_every_case_runs_and_each_that_fails_is_named() -> None:
    ran = []

    @cases("a", [1, 2, 3])
    @cases("b, c", [(0, 1), (1, 0)], ids=["up", "down"])
    def claim(a: int, b: int, c: int, fixture: str) -> None:
        ran.append((a, b, c, fixture))
        if a == 2:
            pytest.fail("two")
        assert not (a == 3 and b == 1), "three"

    assert list(inspect.signature(claim).parameters) == ["fixture"]
    with pytest.raises(BaseExceptionGroup, match="2 of 3 cases failed") as caught:
        claim(fixture="f")
    assert ran == [(a, b, c, "f") for a in (1, 2, 3) for b, c in ((0, 1), (1, 0))]
    two, three = caught.value.exceptions
    assert two.__notes__ == ["case a: 2"]
    assert [inner.__notes__ for inner in two.exceptions] == [["case b, c: up"], ["case b, c: down"]]
    assert three.__notes__ == ["case b, c: down", "case a: 3"]


def test_names_that_the_test_does_not_take_and_no_cases_are_refused() -> None:
    with pytest.raises(AssertionError, match="no cases of a"):
        cases("a", [])
    with pytest.raises(AssertionError, match="must take"):
        cases("a", [1])(lambda b: None)
