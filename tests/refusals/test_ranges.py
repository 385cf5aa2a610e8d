"""Every knob of every method and loss: a value out of its declared range is refused, before anything is trained."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.cases import cases
from tests.losses.loss_cases import COUNTS

from longtail import losses
from longtail.catalogue.compose import BaseMethod
from longtail.catalogue.spec import canonical
from longtail.facts.knobs import Choice, Declared, Numbers, Range, declared
from longtail.facts.schedules import switch
from longtail.losses import Loss
from longtail.methods import method
from longtail.methods.entries import CATALOG
from longtail.posthoc.choice import ClassChoice, CostChoice

LOSSES = {
    name: made
    for name, made in vars(losses).items()
    if isinstance(made, type) and issubclass(made, Loss) and not inspect.isabstract(made)
}


def beyond(rule: Range | Choice | Numbers) -> Iterator[Any]:
    """Values just out of a range, no word of a choice, or not one number per class."""
    if isinstance(rule, ClassChoice):  # which names there are is known with the data
        yield from (-1, True, 0.5)
        return
    if isinstance(rule, CostChoice):  # any other text may be the path of a file
        yield from (10, True)
        return
    if isinstance(rule, Choice):
        yield "no-such-word"
        return
    if isinstance(rule, Numbers):
        yield from (1.0, (), "no-number")
        return
    if math.isfinite(rule.low):
        yield rule.low if rule.open_low else rule.low - 1
    if math.isfinite(rule.high) or rule.open_high:
        yield rule.high if rule.open_high else rule.high + 1
    if rule.integer:
        yield rule.low + 0.5


def refused(build: Callable[[str, Any], Any], knob: Declared, value: Any) -> None:
    with pytest.raises((ValueError, TypeError)) as error:
        build(knob.name, value)
    text = str(error.value)
    assert text.startswith(f"{knob.name} must be {knob.rule}"), text
    assert "got " in text
    assert "; " in text, "the way out is missing"
    assert "\n" not in text


def check(build: Callable[[str, Any], Any], knobs: Iterable[Declared]) -> None:
    for knob in knobs:
        if knob.rule is None:
            continue
        for value in beyond(knob.rule):
            refused(build, knob, value)
            if knob.schedulable and isinstance(knob.default, float):
                refused(build, knob, switch(0.5, knob.default, value))
        if isinstance(knob.rule, Numbers):
            for value in beyond(knob.rule.each):
                refused(build, replace(knob, rule=knob.rule.each), (1.0, value))


@cases("key", CATALOG)
def test_no_method_takes_a_value_out_of_range(key: str) -> None:
    knobs = [knob for knob in declared(CATALOG[key]).values() if not isinstance(knob.rule, BaseMethod)]
    check(lambda name, value: method(canonical(key, {name: value}, {})), knobs)


@cases("name", LOSSES)
def test_no_loss_takes_a_value_out_of_range(name: str) -> None:
    knobs = [knob for knob in declared(LOSSES[name]).values() if knob.name != "class_weight"]  # one loss has its own
    check(lambda knob, value: LOSSES[name](COUNTS, **{knob: value}), knobs)


def test_what_is_tried_is_out_of_range() -> None:
    for rule in (Range(0), Range(0, 1, open_low=True), Range(0, open_high=True), Range(1, 5, integer=True)):
        values = list(beyond(rule))
        assert values
        assert not any(rule.contains(float(value)) for value in values)
