"""Schedules read progress as the share of the stage that is done, the same on floats and on tensors."""

from copy import deepcopy
from math import cos, inf, pi

import pytest
import torch
from tests.cases import cases

from longtail.facts import schedules as s

EPOCHS = 200
EACH = {
    "constant(2.0)": lambda e: 2.0,
    "switch(0.8, 0.0, 1.0)": lambda e: 1.0 if e >= 160 else 0.0,
    "linear(1.0, 3.0)": lambda e: 1 + 2 * e / EPOCHS,
    "parabola(1.0, 0.0)": lambda e: 1 - (e / EPOCHS) ** 2,
    "cosine(0.4, 0.1)": lambda e: 0.1 + 0.3 * (1 + cos(pi * e / EPOCHS)) / 2,
    "cycle(0.1, 1.0, 5.0)": lambda e: 0.1 + 0.9 * (1 + cos(2 * pi * e / 40)) / 2,
    "inverse(1000.0, 0.6, 45.0, 5.0)": lambda e: max(5.0, 1000 * (1 + 0.6 * e / EPOCHS) ** -45),
    "inverse(10.0, 2.0, 1.0, 0.0)": lambda e: 10 / (1 + 2 * e / EPOCHS),
    "steps((0.8, 0.9), (1.0, 0.01, 0.0001))": lambda e: 1.0 if e < 160 else 0.01 if e < 180 else 0.0001,
    "warmup(5, 200)": lambda e: min(1.0, (e + 1) / 5),
}


def built(text):
    return eval(text, {"inf": inf, **s.BY_NAME})


@pytest.mark.parametrize(("text", "formula"), EACH.items())
def test_every_schedule_is_its_formula_in_epochs(text, formula):
    schedule = built(text)
    for e in range(EPOCHS):
        assert schedule(e / EPOCHS) == pytest.approx(formula(e), rel=1e-12)


@pytest.mark.parametrize("text", EACH)
def test_a_float_gives_a_float_and_a_tensor_a_tensor_of_the_same_value(text):
    schedule = built(text)
    for e in (0, 3, 100, 159, 160, 179, 180, 199):
        value = schedule(e / EPOCHS)
        assert isinstance(value, float)
        for dtype in (torch.float32, torch.float64):
            on_tensor = schedule(torch.tensor(e / EPOCHS, dtype=dtype))
            assert isinstance(on_tensor, torch.Tensor)
            assert float(on_tensor) == pytest.approx(value, rel=1e-5, abs=1e-7)


@cases("text", EACH)
def test_the_repr_is_the_spec_that_builds_it(text):
    schedule = built(text)
    assert repr(schedule) == text
    assert schedule == built(repr(schedule)) == deepcopy(schedule)
    assert hash(schedule) == hash(built(text))


@cases("epochs", range(5, 400, 5))
def test_a_switch_at_80_percent_falls_on_its_epoch_whatever_the_length(epochs):
    switch = s.switch(0.8, 0.0, 1.0)
    values = [switch(e / epochs) for e in range(epochs)]
    assert values.index(1.0) == 4 * epochs // 5


def test_a_switch_may_hold_infinity():
    lam = s.switch(0.8, inf, 5.0)
    assert lam(0.0) == inf
    assert lam(0.8) == 5.0
    assert repr(lam) == "switch(0.8, inf, 5.0)"


def test_at_reads_a_float_or_a_schedule():
    assert s.at(0.3, None) == 0.3
    assert s.at(s.linear(0, 1), 0.25) == 0.25
    with pytest.raises(TypeError, match=r"reweight is the schedule switch\(0.8, 0, 1\) and needs progress"):
        s.at(s.switch(0.8, 0, 1), None, "reweight")


@pytest.mark.parametrize("text", EACH)
def test_values_bound_what_it_yields(text):
    schedule = built(text)
    seen = [schedule(e / EPOCHS) for e in range(EPOCHS)]
    assert min(schedule.values()) - 1e-12 <= min(seen)
    assert max(seen) <= max(schedule.values()) + 1e-12


def test_no_warm_up_is_one_throughout():
    assert s.warmup(0, 10)(0.0) == 1.0
    assert float(s.warmup(0, 10)(torch.tensor(0.5))) == 1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: s.switch(160, 0, 1), r"at must be in \[0, 1\], got 160; it is a share of the stage"),
        (lambda: s.steps((0.9, 0.8), (1, 2, 3)), "must ascend"),
        (lambda: s.steps((0.8,), (1, 2, 3)), "one more level than switching points"),
        (lambda: s.steps((80,), (1, 2)), r"at must be in \[0, 1\]"),
        (lambda: s.warmup(-1, 10), "epochs >= 0 and total >= 1"),
    ],
)
def test_what_makes_no_schedule_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
