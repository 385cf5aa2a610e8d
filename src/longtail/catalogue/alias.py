"""Short names of corrections over a base: `proden-records` for `records(base="proden")`, with the knobs of both."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_type_hints

from longtail.catalogue import spec as specs
from longtail.catalogue.method import Builder, Builders, Method
from longtail.facts import knobs
from longtail.facts.late import late_knobs

BASE = "base"


def alias(key: str, correction: str, base: str, builders: Builders) -> Builder:
    """Return the builder of correction(base=base), whose knobs are those of both and whose training is the same.

    Where `base` is a correction, too, it acts over its default base; another is written out.

    Args:
        key: the short name.
        correction, base: keys of `builders`; the correction has a knob `base`.
        builders: the catalogue.

    Raises:
        ValueError: a knob that both have.
    """
    outer, inner = builders[correction], builders[base]
    own, below = (list(inspect.signature(one).parameters.values()) for one in (outer, inner))
    own, below = ([knob for knob in some if knob.name != BASE] for some in (own, below))
    both = {knob.name for knob in own} & {knob.name for knob in below}
    if both:
        raise ValueError(f"knobs of {correction} and {base} must differ for an alias, got {', '.join(both)} twice")

    def build(**values: Any) -> Method:
        plain = _named(
            base, inner, {k: v for k, v in values.items() if any(k == knob.name for knob in below)}, builders
        )
        rest = {k: v for k, v in values.items() if any(k == knob.name for knob in own)}
        made = _named(correction, outer, rest, builders, base=plain)
        return replace(made, key="", spec="", twin=base)

    hints = {**_hints(inner), **_hints(outer)}
    shown = [knob.replace(annotation=hints[knob.name]) for knob in (*below, *own)]
    built: Any = build
    built.__signature__ = inspect.Signature(shown, return_annotation=Method)
    built.__annotations__ = {knob.name: knob.annotation for knob in shown}
    built.__name__ = key.replace("-", "_")
    built.__doc__ = _text(outer, correction, base)
    return build


def _named(key: str, builder: Builder, values: dict[str, Any], builders: Builders, **more: Method) -> Method:
    """Return the method with the text of its training, as `resolve` names it, by default over its default base."""
    declared = knobs.declared(builder)
    if BASE in declared and not more:
        default = declared[BASE].default
        more = {BASE: _named(default, builders[default], {}, builders)}
    declared = {name: knob for name, knob in declared.items() if name != BASE}
    defaults = {name: knob.default for name, knob in declared.items()}
    full = {**defaults, **values}
    text = specs.full(key, full)
    return builder(**values, **more).named(key, specs.canonical(key, full, defaults), text, late_knobs(declared, full))


def _hints(builder: Builder) -> dict[str, Any]:
    return get_type_hints(builder, include_extras=True)


def _text(outer: Builder, correction: str, base: str) -> str:
    """Return the correction's docstring, whose first line and first paragraph say over which base."""
    first, _, rest = inspect.cleandoc(outer.__doc__ or "").partition("\n")
    name = first.partition(":")[0]
    note = f'{base} under {name}: `{correction}(base="{base}")`, with the knobs of both.'
    return f"{note}\n{rest}"


def aliases_of(correction: str, bases: Sequence[str], builders: Builders) -> dict[str, Builder]:
    """Return the aliases `<base>-<correction>` of a correction over each of these bases."""
    return {f"{base}-{correction}": alias(f"{base}-{correction}", correction, base, builders) for base in bases}
