"""Knobs: the numbers a user may set, each declared in one place with its range and default.

A knob is a parameter such as `tau: Annotated[Knob, Range(0)] = 1.0`, with the range in its annotation. Validation,
`longtail explain` and the documentation read it from the signature.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from longtail.facts.messages import quoted
from longtail.facts.schedules import Schedule


@dataclass(frozen=True)
class Range:
    """A real interval, closed at both ends unless flagged open; all values of a schedule are checked."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    integer: bool = False

    def __str__(self) -> str:
        kind = "an integer " if self.integer else ""
        if self.high == math.inf and self.low == -math.inf:
            number = "finite" if self.open_low and self.open_high else "a number"
            return "an integer" if self.integer else number
        if self.high == math.inf:
            return f"{kind}{'>' if self.open_low else '>='} {self.low:g}"
        left, right = "(" if self.open_low else "[", ")" if self.open_high else "]"
        return f"{kind}in {left}{self.low:g}, {self.high:g}{right}"

    def contains(self, value: float) -> bool:
        """Return whether the value lies inside."""
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below and (not self.integer or value.is_integer())

    def check(self, name: str, value: Any) -> None:
        """Raise ValueError or TypeError, naming the knob, where the value breaks the rule."""
        values = value.values() if isinstance(value, Schedule) else (value,)
        for v in values:
            if isinstance(v, bool) or not isinstance(v, Real):
                rule = str(self) if str(self).startswith("a") else f"a number {self}"
                raise TypeError(f"{name} must be {rule}, got {quoted(value)}; pass a plain number or a schedule")
            if not self.contains(_float(v)):
                also = " and finite" if v == self.high == math.inf and self.low > -math.inf else ""
                raise ValueError(f"{name} must be {self}{also}, got {quoted(v)}; choose a value in that range")


class Length(Range):
    """How long a part of a training lasts, as a share of the recipe's epochs; a search does not vary it."""


class Start(Range):
    """The share of a stage's epochs from which on a part of it takes effect; 1 is never (`late.Late`)."""


def _float(value: Real) -> float:
    """The number as a float; an integer of a thousand digits is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]


@dataclass(frozen=True)
class Choice:
    """One of a few words, or None where `optional`; instances of `others` are not checked."""

    words: tuple[str, ...]
    optional: bool = False
    others: tuple[type, ...] = ()

    def __str__(self) -> str:
        return " or ".join([f'"{w}"' for w in self.words] + (["None"] if self.optional else []))

    def check(self, name: str, value: Any) -> None:
        """Raise ValueError or TypeError, naming the knob, where the value breaks the rule."""
        if (value is None and self.optional) or isinstance(value, self.others):
            return
        if isinstance(value, str) and value in self.words:
            return
        raise ValueError(f"{name} must be {self}, got {quoted(value)}; choose one of these")


@dataclass(frozen=True)
class WordOrNumber(Choice):
    """One of a few words, or a number in `number`; `what` says in words what the number is."""

    number: Range = Range()
    what: str = "a number"

    def __str__(self) -> str:
        words = ", ".join(f'"{word}"' for word in self.words)
        return f"{words} or {self.what} {self.number}"

    def check(self, name: str, value: Any) -> None:
        """Raise ValueError or TypeError, naming the knob, where the value breaks the rule."""
        if isinstance(value, Real):
            self.number.check(name, value)
        else:
            super().check(name, value)


@dataclass(frozen=True)
class Numbers:
    """Several numbers, each in `each`; None is valid where it is the default."""

    each: Range
    what: str = "one per class"
    example: str = "(0.7, 0.2, 0.1)"

    def __str__(self) -> str:
        return f"numbers {self.each}, {self.what}"

    def check(self, name: str, value: Any) -> None:
        """Raise ValueError or TypeError, naming the knob, where the value breaks the rule."""
        if not isinstance(value, tuple | list) or not value:
            raise TypeError(f"{name} must be {self}, got {quoted(value)}; write {name}={self.example}")
        for number in value:
            self.each.check(name, number)


@dataclass(frozen=True)
class Declared:
    """One knob as declared in a signature."""

    name: str
    default: Any
    rule: Range | Choice | Numbers | None
    schedulable: bool = False

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is inspect.Parameter.empty

    def __str__(self) -> str:
        return self.name if self.required else f"{self.name}={self.default!r}"


Knob = float | Schedule
NonNegative = Annotated[Knob, Range(0, open_high=True)]
Positive = Annotated[Knob, Range(0, open_low=True, open_high=True)]
Fraction = Annotated[Knob, Range(0, 1)]
PositiveFloat = Annotated[float, Range(0, open_low=True, open_high=True)]
NonNegativeFloat = Annotated[float, Range(0, open_high=True)]
UnitFloat = Annotated[float, Range(0, 1)]
UnitLength = Annotated[float, Length(0, 1)]
UnitStart = Annotated[float, Start(0, 1)]


def declared(function: Callable[..., Any]) -> dict[str, Declared]:
    """Return the keyword-only knobs of a function or class, in the order of its signature."""
    owner: Any = function
    # of a class, the signature of its constructor
    call = owner.__init__ if isinstance(owner, type) else owner  # type: ignore[misc]
    hints = get_type_hints(call, include_extras=True)
    knobs = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            continue
        hint = hints.get(parameter.name, parameter.annotation)  # a composed signature has its own annotations
        rule = next((r for r in _extras(hint) if isinstance(r, Range | Choice | Numbers)), None)
        knobs[parameter.name] = Declared(parameter.name, parameter.default, rule, _admits(hint, Schedule))
    return knobs


def _extras(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) is Annotated:
        return get_args(hint)[1:]
    # `Annotated[...] | None`: the rule is for values that are not None
    return tuple(extra for part in get_args(hint) for extra in _extras(part))


def _admits(hint: Any, kind: type) -> bool:
    return hint is kind or any(_admits(part, kind) for part in get_args(hint))


def check(function: Callable[..., Any], values: Mapping[str, Any]) -> None:
    """Check `values` against the knobs that `function` declares; None is valid where it is the default."""
    for name, knob in declared(function).items():
        if name not in values or knob.rule is None:
            continue
        value = values[name]
        if value is None and knob.default is None:
            continue
        if isinstance(value, Schedule) and not knob.schedulable:
            raise TypeError(f"{name} cannot be a schedule, got {quoted(value)}; pass a plain value")
        knob.rule.check(name, value)
