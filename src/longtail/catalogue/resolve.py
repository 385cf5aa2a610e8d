"""From a spec string to a method; error messages have the nearest match and the signature."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from longtail.catalogue import spec as specs
from longtail.catalogue.compose import BaseMethod
from longtail.catalogue.method import Builder, Builders, Knobs, Method
from longtail.catalogue.tasks import METHOD, REFERENCE, TASKS, role
from longtail.facts import knobs
from longtail.facts.late import late_knobs
from longtail.facts.messages import quoted


def resolve(spec: str | Method, builders: Builders) -> Method:
    """Return the method that a spec string names, such as "ldam-drw" or "ldam-drw(scale=20)".

    A knob whose rule is a `BaseMethod`, as in `absgd(base="ldam-drw")`, names a method in turn: its builder gets
    the method itself and never reads the catalogue.

    Args:
        spec: the string; a `Method` is returned as it is.
        builders: the catalogue, key -> builder.

    Raises:
        ValueError: unknown method or knob (with the nearest match and the accepted signature), or a value out of
            its range.
    """
    if isinstance(spec, Method):
        return spec
    if not isinstance(spec, str):
        raise TypeError(f'method must be a spec string or a Method, got {quoted(spec)}; as in "ldam-drw(scale=20)"')
    name, values = specs.parse(spec)
    if name not in builders:
        near = _nearest(name, builders, 0.6)  # below it, methods that share a few letters
        hint = f"did you mean {signature(near, builders[near])}? " if near else ""
        raise ValueError(f"unknown method {quoted(name)}; {hint}see longtail methods")
    builder = builders[name]
    declared = knobs.declared(builder)
    for knob in values:
        if knob not in declared:
            near = _nearest(knob, declared)
            hint = f"did you mean {near!r}? " if near else ""
            accepted = signature(name, builder)
            raise ValueError(f"method {name!r} has no knob {quoted(knob)}; {hint}it accepts {accepted}")
    for knob, value in values.items():
        _check_type(name, knob, value, declared[knob].default)
    defaults = {k: d.default for k, d in declared.items()}
    bases = {
        k: _resolve_base(k, {**defaults, **values}[k], d.rule, builders) for k, d in declared.items() if _is_base(d)
    }
    knobs.check(builder, {**values, **bases})
    values = {k: float(v) if isinstance(defaults[k], float) and isinstance(v, int) else v for k, v in values.items()}
    full = {**defaults, **values, **{knob: base.spec for knob, base in bases.items()}}
    canonical = specs.canonical(name, full, defaults)
    own = {knob: value for knob, value in full.items() if knob not in bases}
    late = late_knobs(declared, own)
    made = builder(**{**values, **bases}).named(name, canonical, specs.full(name, own), late)

    def varied(changed: Mapping[str, Any]) -> Method:
        return resolve(specs.canonical(name, {**full, **changed}, defaults), builders)

    made = replace(made, knobs=Knobs(declared, full, varied))
    comparable = (base.spec for base in bases.values() if role(made.task, base.task, base.spec) in (REFERENCE, METHOD))
    for knob, base in bases.items():
        if declared[knob].rule.alike:  # type: ignore[union-attr]
            below = base.twin or TASKS[made.task].reference
            twin = canonical if below == base.spec else specs.canonical(name, {**full, knob: below}, defaults)
            return replace(made, twin=twin)
    return replace(made, twin=next(comparable, None) or _twin(made, values, builders))


def _twin(made: Method, values: dict[str, Any], builders: Builders) -> str | None:
    """Return the spec of the plain method that a builder names, with the knobs that both have."""
    if made.twin is None or made.twin == made.key:
        return made.twin and made.spec
    if made.twin not in builders:
        raise ValueError(f"the twin of method {made.key!r} must be a method, got {made.twin!r}; correct its builder")
    known = knobs.declared(builders[made.twin])
    shared = {knob: value for knob, value in values.items() if knob in known}
    return resolve(specs.canonical(made.twin, shared, {}), builders).spec


def _is_base(knob: knobs.Declared) -> bool:
    return isinstance(knob.rule, BaseMethod)


def _resolve_base(knob: str, value: Any, rule: Any, builders: Builders) -> Method:
    """Return the method that a knob names."""
    if not isinstance(value, str):
        raise ValueError(f'{knob} must be {rule}, got {value!r}; write {knob}="ce"')
    return resolve(value, builders)


def _check_type(name: str, knob: str, value: Any, default: Any) -> None:
    """Check that a knob without a declared rule has the type of its default."""
    if isinstance(default, bool) != isinstance(value, bool) and isinstance(default, bool | int | float):
        kind = "True or False" if isinstance(default, bool) else "a number"
        raise ValueError(
            f"{knob} of method {quoted(name)} must be {kind}, got {quoted(value)}; its default is {default!r}"
        )


def _nearest(word: str, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)), None)


def signature(name: str, builder: Builder) -> str:
    """Return the name with its knobs, as in `ldam(max_margin=0.5, scale=30.0)`."""
    inner = ", ".join(str(knob) for knob in knobs.declared(builder).values())
    return f"{name}({inner})" if inner else f"{name} without knobs"


def split_specs(text: str) -> list[str]:
    """Split specs at commas outside brackets and quotes."""
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


def docstring(builder: Builder) -> str:
    """Return the builder's docstring: the method, its equation, when it works, where code and paper differ."""
    return inspect.cleandoc(builder.__doc__ or "")
