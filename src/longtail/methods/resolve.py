"""From a spec string to a method, with the nearest match and the signature in every refusal."""

from __future__ import annotations

import difflib
import inspect
import logging
from collections.abc import Callable, Iterable
from typing import Any

from longtail import knobs
from longtail.data import Part
from longtail.methods import spec as specs
from longtail.methods.catalog import ESTIMATORS, PRESETS, WITH_ESTIMATORS, catalogue
from longtail.methods.definition import Method
from longtail.wording import told

log = logging.getLogger(__name__)


def method(spec: str | Method) -> Method:
    """The method that a spec string names, such as "ldam-drw" or "ldam-drw(scale=20)".

    Raises:
        ValueError: unknown method or knob (with the nearest match and the accepted signature), or a value out of
            its range.
    """
    if isinstance(spec, Method):
        return spec
    if not isinstance(spec, str):
        raise TypeError(f'method must be a spec string or a Method, got {told(spec)}; as in "ldam-drw(scale=20)"')
    name, values = specs.parse(spec)
    builders = catalogue()
    if name not in builders:
        near = _nearest(name, builders)
        hint = f"did you mean {signature(near, builders[near])}? " if near else ""
        raise ValueError(f"unknown method {told(name)}; {hint}see longtail methods")
    builder = builders[name]
    declared = knobs.declared(builder)
    for knob in values:
        if knob not in declared:
            near = _nearest(knob, declared)
            hint = f"did you mean {near!r}? " if near else ""
            accepted = signature(name, builder)
            raise ValueError(f"method {name!r} has no knob {told(knob)}; {hint}it accepts {accepted}")
    for knob, value in values.items():
        _typed(name, knob, value, declared[knob].default)
    knobs.check(builder, values)
    defaults = {k: d.default for k, d in declared.items()}
    values = {k: float(v) if isinstance(defaults[k], float) and isinstance(v, int) else v for k, v in values.items()}
    return builder(**values).named(name, specs.canonical(name, values, defaults))


def _typed(name: str, knob: str, value: Any, default: Any) -> None:
    """A knob without a declared rule still has the type of its default."""
    if isinstance(default, bool) != isinstance(value, bool) and isinstance(default, bool | int | float):
        kind = "True or False" if isinstance(default, bool) else "a number"
        raise ValueError(f"{knob} of method {told(name)} must be {kind}, got {told(value)}; its default is {default!r}")


def _nearest(word: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)), None)


def signature(name: str, builder: Callable[..., Method]) -> str:
    """As in `ldam(max_margin=0.5, scale=30.0)`."""
    inner = ", ".join(str(knob) for knob in knobs.declared(builder).values())
    return f"{name}({inner})" if inner else f"{name} without knobs"


def methods(
    asked: str | Iterable[str | Method] = "quick", *, val: bool = False, table: bool = False, data: Part | None = None
) -> list[Method]:
    """The methods of a comparison, each once, in the order asked.

    Args:
        asked: a preset ("quick", "all", "estimators"), specs separated by commas, or a list of either.
        val: whether a validation part will be there; without one, presets leave out methods that need it and
            naming such a method is an error.
        table: whether the data are a table, for which "quick" and "all" include scikit-learn's classifiers.
        data: the training part, once it is there: presets leave out methods that it does not fit (too many classes
            for trees, say) and naming such a method is an error.

    Raises:
        ValueError: an unknown name or knob, none at all, or a named method that these data do not fit.
    """
    found: dict[str, Method] = {}
    for item in split(asked) if isinstance(asked, str) else asked:
        named = not (isinstance(item, str) and item in PRESETS)
        names: Iterable[str | Method] = (item,) if named else preset(str(item), val=val, table=table)
        for one in map(method, names):
            why = _unfit(one, val, data)
            if why is None:
                found.setdefault(one.spec, one)
            elif named:
                raise ValueError(why)
            elif not one.needs_val:
                log.warning("%s; left out", why)
    if not found:
        raise ValueError("methods must not be empty, got none; try quick")
    return list(found.values())


def _unfit(one: Method, val: bool, data: Part | None) -> str | None:
    if one.needs_val and not val:
        return f"method {one.key!r} needs a validation part, got none; add --val 0.2 (val=0.2)"
    return None if data is None else one.refuses(data)


def preset(name: str, *, val: bool = False, table: bool = False) -> tuple[str, ...]:
    """The keys behind a preset's name."""
    keys = PRESETS[name]
    if name not in WITH_ESTIMATORS:
        return keys
    extra = ("ce-threshold",) if val and "ce-threshold" not in keys else ()
    return keys + extra + (ESTIMATORS if table else ())


def split(text: str) -> list[str]:
    """Specs separated by commas, commas inside brackets and quotes left alone."""
    parts, depth, quote, current = [], 0, "", ""
    for char in text:
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        if char == "," and depth == 0 and not quote:
            parts.append(current.strip())
            current = ""
        else:
            current += char
    return [part for part in [*parts, current.strip()] if part]


def describe(builder: Callable[..., Method]) -> str:
    """The builder's docstring: what the method is, its equation, when it works, where original and paper differ."""
    return inspect.cleandoc(builder.__doc__ or "")
