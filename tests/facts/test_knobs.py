"""A knob's range stands in its owner's signature and is held wherever a value comes in."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest
from tests.cases import cases

from longtail.facts import knobs
from longtail.facts.knobs import Choice, Knob, NonNegative, NonNegativeFloat, Positive, Range, UnitFloat, WordOrNumber
from longtail.facts.schedules import linear, switch


class Owner:
    def __init__(
        self,
        counts: list[int],
        *,
        tau: NonNegative = 1.0,
        margin: Positive = 0.5,
        alpha: NonNegativeFloat | None = None,
        base: knobs.Annotated[str, Choice(("softmax", "sigmoid"))] = "softmax",
        needed: UnitFloat,
        free: str = "x",
    ) -> None: ...


def test_declared_reads_the_keyword_only_knobs_in_order():
    found = knobs.declared(Owner)
    assert [str(k) for k in found.values()] == [
        "tau=1.0", "margin=0.5", "alpha=None", "base='softmax'", "needed", "free='x'",
    ]  # fmt: skip
    assert found["needed"].required
    assert not found["tau"].required
    assert str(found["tau"].rule) == ">= 0"
    assert str(found["margin"].rule) == "> 0"
    assert str(found["alpha"].rule) == ">= 0"
    assert str(found["base"].rule) == '"softmax" or "sigmoid"'
    assert str(found["needed"].rule) == "in [0, 1]"
    assert found["free"].rule is None


def test_declared_reads_functions_too():
    def method(*, q: Knob = 0.5, beta: knobs.Annotated[float, Range(0, 1, open_high=True)] = 0.9) -> None: ...

    assert str(knobs.declared(method)["beta"].rule) == "in [0, 1)"
    assert knobs.declared(method)["q"].rule is None


def test_a_word_or_a_number():
    rule = WordOrNumber(("sqrt", "all"), number=Range(0, 1, open_low=True), what="a share")
    assert str(rule) == '"sqrt", "all" or a share in (0, 1]'
    for good in ("sqrt", "all", 0.5, 1):
        rule.check("tried", good)
    for bad in ("log", None, [1]):
        with pytest.raises(ValueError, match=r'tried must be "sqrt", "all" or a share in \(0, 1\], got'):
            rule.check("tried", bad)
    with pytest.raises(ValueError, match=r"tried must be in \(0, 1\], got 2"):
        rule.check("tried", 2)


def test_good_values_pass():
    knobs.check(Owner, {"tau": 0, "margin": switch(0.8, 0.5, 1.0), "alpha": None, "needed": 1, "free": 3})
    knobs.check(Owner, {"tau": np.float32(0.5), "margin": np.int64(3), "base": "sigmoid"})
    Range(1, integer=True).check("k", 3.0)
    Range().check("lam", -inf)


@cases(
    ("values", "kind", "message"),
    [
        ({"tau": -1.0}, ValueError, "tau must be >= 0, got -1.0"),
        ({"tau": nan}, ValueError, "tau must be >= 0, got nan"),
        ({"tau": inf}, ValueError, "tau must be >= 0 and finite, got inf"),
        ({"tau": "1"}, TypeError, "tau must be a number >= 0, got '1'"),
        ({"tau": True}, TypeError, "tau must be a number >= 0, got True"),
        ({"tau": None}, TypeError, "tau must be a number >= 0, got None"),
        ({"tau": linear(1.0, -1.0)}, ValueError, "tau must be >= 0, got -1.0"),
        ({"margin": 0}, ValueError, "margin must be > 0, got 0"),
        ({"needed": 1.5}, ValueError, r"needed must be in \[0, 1\], got 1.5"),
        ({"base": "tanh"}, ValueError, 'base must be "softmax" or "sigmoid", got \'tanh\''),
        ({"base": np.ones(2)}, ValueError, 'base must be "softmax" or "sigmoid"'),
    ],
)
def test_bad_values_are_refused_by_name(values, kind, message):
    with pytest.raises(kind, match=message):
        knobs.check(Owner, values)


@pytest.mark.parametrize("value", [0, 2.5, inf, nan])
def test_an_integer_knob_refuses_what_is_none(value):
    with pytest.raises(ValueError, match="k must be an integer >= 1"):
        Range(1, integer=True).check("k", value)


def test_an_unbounded_knob_says_what_it_wants():
    unbounded = Range(open_low=True, open_high=True)
    with pytest.raises(ValueError, match="q must be finite, got inf"):
        unbounded.check("q", inf)
    with pytest.raises(TypeError, match="lam must be a number, got 'x'"):
        Range().check("lam", "x")


def test_a_choice_may_admit_none_and_other_types():
    rule = Choice(("inverse",), optional=True, others=(list,))
    assert str(rule) == '"inverse" or None'
    rule.check("class_weight", None)
    rule.check("class_weight", [1.0])
    with pytest.raises(ValueError, match="class_weight must be"):
        rule.check("class_weight", 3)
