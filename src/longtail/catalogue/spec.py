"""Spec strings: `name` or `name(knob=value, ...)`, read by a parser and never evaluated.

Values are literals, `inf`, or a schedule such as `switch(0.8, inf, 5.0)`. Knobs sorted and defaults dropped
give the canonical string: table label, JSON key and folder name.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from typing import Any

from longtail.facts.files import checksum
from longtail.facts.messages import quoted
from longtail.facts.schedules import BY_NAME, Schedule

_SHAPE = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9_-]*)\s*(?:\((.*)\))?\s*$", re.DOTALL)


def parse(spec: str) -> tuple[str, dict[str, Any]]:
    """Split "name(knob=value)" into the name and the knobs.

    Raises:
        ValueError: the text is not of that form.
    """
    match = _SHAPE.match(spec)
    if match is None:
        raise ValueError(
            f'method must be "name" or "name(knob=value, ...)", got {quoted(spec)}; as in "ldam-drw(scale=20)"'
        )
    name, body = match.groups()
    if not body or not body.strip():
        return name, {}
    try:
        call = ast.parse(f"f({body})", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(f'the knobs of {quoted(spec)} cannot be read; write them as in "ldam-drw(scale=20)"') from None
    if not isinstance(call, ast.Call) or call.args or any(k.arg is None for k in call.keywords):
        raise ValueError(f'the knobs of {quoted(spec)} must be named; write them as in "ldam-drw(scale=20)"')
    names = [str(k.arg) for k in call.keywords]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise ValueError(f"knob {quoted(twice)} is given twice in {quoted(spec)}; give it once")
    try:
        return name, {str(k.arg): _value(k.value, spec) for k in call.keywords}
    except RecursionError:  # how deep the parser itself goes differs from version to version
        raise ValueError(f'the knobs of {quoted(spec)} cannot be read; write them as in "ldam-drw(scale=20)"') from None


def _value(node: ast.expr, spec: str) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float | str | bool | None):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _value(node.operand, spec)
        if isinstance(inner, int | float) and not isinstance(inner, bool):
            return -inner
    if isinstance(node, ast.Name) and node.id == "inf":
        return math.inf
    if isinstance(node, ast.Tuple | ast.List):
        return tuple(_value(item, spec) for item in node.elts)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _schedule(node, node.func.id, spec)
    raise ValueError(
        f"the value {quoted(ast.unparse(node))} in {quoted(spec)} must be a number, a word in quotes, inf or a "
        f"schedule ({', '.join(sorted(BY_NAME))}); correct it"
    )


def _schedule(node: ast.Call, name: str, spec: str) -> Schedule:
    if name not in BY_NAME:
        raise ValueError(f"{quoted(name)} in {quoted(spec)} is not a schedule; known are {', '.join(sorted(BY_NAME))}")
    args = [_value(a, spec) for a in node.args]
    kwargs = {str(k.arg): _value(k.value, spec) for k in node.keywords}
    kind: Any = BY_NAME[name]
    try:
        inspect.signature(kind).bind(*args, **kwargs)
    except TypeError as error:
        call = ", ".join(f.name if f.default is MISSING else f"{f.name}={f.default!r}" for f in fields(kind))
        raise ValueError(
            f"{quoted(ast.unparse(node))} must be {name}({call}), but: {error}; give every argument once"
        ) from None
    try:
        made: Any = kind(*args, **kwargs)
    except TypeError as error:
        raise ValueError(str(error)) from None
    # switch(0.8, 0, 1) and switch(0.8, 0.0, 1.0) are one schedule and have one text
    numbers = {f.name: _floats(getattr(made, f.name)) for f in fields(made) if "float" in str(f.type)}
    schedule: Schedule = replace(made, **numbers)
    return schedule


def _floats(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_floats, value))
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def canonical(name: str, knobs: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Return the canonical string of a method: knobs sorted, defaults dropped, numbers written as their default is."""
    differing = []
    for knob in sorted(knobs):
        value = knobs[knob]
        if isinstance(defaults.get(knob), float) and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if value != defaults.get(knob):
            differing.append(f"{knob}={value!r}")
    return f"{name}({', '.join(differing)})" if differing else name


def full(name: str, knobs: Mapping[str, Any]) -> str:
    """Return name and all knobs: the text of a training."""
    inner = ",".join(f"{knob}={knobs[knob]!r}" for knob in sorted(knobs))
    return f"{name}({inner})" if inner else name


def folder_name(key: str, spec: str) -> str:
    """`<key>-<8 hex of the canonical spec>`."""
    return f"{key}-{checksum(spec.encode())[:8]}"
