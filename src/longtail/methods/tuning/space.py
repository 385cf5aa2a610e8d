"""The space of a search: a method with lists or intervals in place of values, and knobs of the recipe beside it."""

from __future__ import annotations

import ast
import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from longtail.catalogue.resolve import split_specs
from longtail.catalogue.search import Candidate
from longtail.engine import Recipe
from longtail.engine.recipe import RANGES
from longtail.facts.messages import quoted

_SPEC = re.compile(r"^\s*([^\s(]+)\s*(?:\((.*)\))?\s*$", re.DOTALL)
_INTERVAL = re.compile(r"^(uniform|log)\(([^,()]+),([^,()]+)\)$")
_PREFIX = "recipe."
Setting = Mapping[str, str]
"""Knob -> its value as written; knobs of the recipe begin with "recipe."."""


@dataclass(frozen=True)
class Interval:
    """Numbers between two ends, uniform in the value or in its logarithm; for random search alone."""

    low: float
    high: float
    log: bool = False

    def draw(self, generator: random.Random) -> str:
        """Return a number in it, as text of four significant digits."""
        if self.log:
            value = math.exp(generator.uniform(math.log(self.low), math.log(self.high)))
        else:
            value = generator.uniform(self.low, self.high)
        return f"{min(max(float(f'{value:.4g}'), self.low), self.high)!r}"


Values = tuple[str, ...] | Interval


@dataclass(frozen=True)
class Space:
    """What is searched: `fixed` knobs have one value, `varied` several; keys as in `Setting`."""

    name: str
    fixed: Setting
    varied: Mapping[str, Values]

    @property
    def listed(self) -> Mapping[str, tuple[str, ...]]:
        """The varied knobs with their listed values.

        Raises:
            ValueError: one is an interval.
        """
        for knob, values in self.varied.items():
            if isinstance(values, Interval):
                raise ValueError(
                    f"{_shown(knob)} must be a list for this search, got an interval; list values as in "
                    f"{_shown(knob)}=[{values.low:g}, {values.high:g}], or choose random search"
                )
        return {knob: values for knob, values in self.varied.items() if not isinstance(values, Interval)}

    def candidate(self, setting: Setting, recipe: Recipe) -> Candidate:
        """Return the candidate of a setting, checked as every method and recipe is."""
        from longtail.methods import method  # methods of the catalogue search, too

        values = {**self.fixed, **setting}
        knobs = ", ".join(f"{knob}={text}" for knob, text in values.items() if not knob.startswith(_PREFIX))
        changes = {k.removeprefix(_PREFIX): _literal(k, text) for k, text in values.items() if k.startswith(_PREFIX)}
        asked = method(f"{self.name}({knobs})" if knobs else self.name)
        if asked.needs_val:
            way = "search over ce" if asked.search is not None else "search over the method that it corrects"
            raise ValueError(f"method {asked.spec!r} cannot be tuned, since it needs the validation rows itself; {way}")
        made = Candidate(asked.spec, changes, setting)
        made.under(recipe)  # checks every value
        return made


def space(spec: str, recipe: str = "") -> Space:
    """Read a space, such as `absgd(lam=[1, 2, 5], gamma=log(0.1, 10))` and `weight_decay=[1e-4, 5e-4]`.

    Every listed value, both ends of every interval and a number inside are checked.

    Args:
        spec: a method in which `[a, b]` lists values and `uniform(a, b)` or `log(a, b)` is an interval.
        recipe: the same for numbers of the recipe.

    Raises:
        ValueError, TypeError: an unknown method or knob, a value out of its range, or nothing to search.
    """
    if not isinstance(spec, str) or spec.lstrip().startswith("sklearn:") or "=sklearn:" in spec.partition("(")[0]:
        raise ValueError(
            f"method must be one of longtail methods, got the classifier {quoted(spec)}; tune it by scikit-learn: "
            "compare GridSearchCV(classifier, ...), which searches on the training rows"
        )
    match = _SPEC.match(spec)
    if match is None:
        raise ValueError(f'method must be "name(knob=[a, b])", got {quoted(spec)}; as in "absgd(lam=[1, 2, 5])"')
    name, body = match.groups()
    values = {**_assignments(body or "", ""), **_recipe_values(recipe)}
    varied = {knob: v for knob, v in values.items() if isinstance(v, Interval) or len(v) > 1}
    fixed = {knob: v[0] for knob, v in values.items() if knob not in varied and not isinstance(v, Interval)}
    made = Space(name, fixed, varied)
    first = {knob: _texts(v)[0] for knob, v in varied.items()}
    for knob, v in values.items():
        for text in _texts(v):
            made.candidate({**first, knob: text}, Recipe())
    if not varied:
        made.candidate({}, Recipe())  # an unknown name or knob is reported first
        raise ValueError(
            f"method must have a knob with several values, got {quoted(spec)}; write a list, as in "
            '"absgd(lam=[1, 2, 5])", or vary the recipe: --vary "weight_decay=[1e-4,5e-4]" (vary="...")'
        )
    return made


def recipe_changes(text: str) -> dict[str, Any]:
    """Read changes of the recipe, one value each, such as "lr=0.1, weight_decay=1e-4".

    Raises:
        ValueError: another name than that of a number of the recipe, no number, or several.
    """
    changes = {}
    for knob, values in _recipe_values(text).items():
        if isinstance(values, Interval) or len(values) > 1:
            raise ValueError(f"{_shown(knob)} must be one number, got several; longtail tune --vary searches several")
        changes[_shown(knob)] = _literal(knob, values[0])
    return changes


def _recipe_values(text: str) -> dict[str, Values]:
    values = _assignments(text, _PREFIX)
    for knob in values:
        if _shown(knob) not in RANGES:
            raise ValueError(
                f"vary and set take numbers of the recipe, {', '.join(RANGES)}, got {quoted(_shown(knob))}; choose one "
                "of these"
            )
    return values


def _assignments(text: str, prefix: str) -> dict[str, Values]:
    """Return knob -> values for "knob=value, knob=[a, b]"."""
    made: dict[str, Values] = {}
    for part in split_specs(text):
        knob, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not knob.isidentifier() or not value:
            raise ValueError(f"{quoted(part)} must be knob=value, got no name or no value; as in lam=[1, 2, 5]")
        if prefix + knob in made:
            raise ValueError(f"knob {quoted(knob)} is given twice; give it once")
        made[prefix + knob] = _values(knob, value)
    return made


def _values(knob: str, text: str) -> Values:
    if text.startswith("[") and text.endswith("]"):
        listed = tuple(dict.fromkeys(split_specs(text[1:-1])))
        if not listed:
            raise ValueError(f"{knob} must list a value, got []; write {knob}=[1, 2]")
        return listed
    match = _INTERVAL.match(text)
    if match is None:
        return (text,)
    low, high = (_literal(knob, end.strip()) for end in match.groups()[1:])
    log = match[1] == "log"
    numbers = all(isinstance(end, int | float) and math.isfinite(end) for end in (low, high))
    if not numbers or not low < high or (log and low <= 0):
        rule = "two finite numbers 0 < a < b" if log else "two finite numbers a < b"
        raise ValueError(f"{knob} must be {match[1]}(a, b) of {rule}, got {quoted(text)}; correct its ends")
    return Interval(float(low), float(high), log)


def _texts(values: Values) -> tuple[str, ...]:
    """Return the listed values; of an interval the ends and a number between, which a knob of integers refuses."""
    if not isinstance(values, Interval):
        return values
    return tuple(map(repr, (values.low, values.low + (values.high - values.low) / math.pi, values.high)))


def _literal(knob: str, text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"{_shown(knob)} must be a number, got {quoted(text)}; correct it") from None


def _shown(knob: str) -> str:
    return knob.removeprefix(_PREFIX)
