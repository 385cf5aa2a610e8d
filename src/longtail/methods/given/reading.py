"""The classifiers of the user's among the methods that were asked for, each under a name of its own."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from longtail.catalogue.method import Builders, Method
from longtail.catalogue.resolve import split_specs
from longtail.facts.messages import quoted
from longtail.methods.given import checks, imported
from longtail.methods.given.given import FORMS, Given, named

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
LONGEST = 40
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def read(asked: Any, reserved: Collection[str]) -> Any:
    """Return what was asked for with every classifier of the user's as a `Given`; all else as it is.

    Args:
        asked: a preset or specs in one string, or a list of strings, methods, classifiers, ("name", classifier).
        reserved: names that are taken: of methods and presets.

    Raises:
        ValueError, TypeError: a name that is taken, given twice or none; what is no classifier; see `checks.check`.
    """
    if isinstance(asked, str):
        parts = split_specs(asked)
        return read(parts, reserved) if any(map(imported.is_spelled, parts)) else asked
    if _is_one(asked) or isinstance(asked, Method | Given):
        asked = [asked]
    items = [_pair(item) for item in asked]
    used = {name: "" for name, _ in (item for item in items if isinstance(item, tuple)) if name is not None}
    known = [item for item in items if isinstance(item, Given)]
    read_items: list[Any] = []
    for item in items:
        if isinstance(item, tuple):
            name, value = item
            made = (
                _checked(name, value, reserved)
                if name is not None
                else _unnamed(value, {*reserved, *used, *_keys(known)})
            )
            item = _once(made, known)
            known.append(item)
        read_items.append(item)
    return read_items


def read_one(item: Any, reserved: Collection[str]) -> Any:
    """Return a single item as `read` does."""
    return read([item], reserved)[0] if _is_one(item) else item


def builders_of(items: Iterable[Any]) -> Builders:
    """Return the builders of the rows of classifiers among items or methods, for specs that name these rows."""
    found = [item if isinstance(item, Given) else getattr(item, "given", None) for item in items]
    return {key: builder for one in found if one is not None for key, builder in one.builders.items()}


def _is_one(item: Any) -> bool:
    if isinstance(item, str):
        return imported.is_spelled(item)
    if isinstance(item, tuple):
        return len(item) == 2 and isinstance(item[0], str) and not isinstance(item[1], str | Method | Given)
    return not isinstance(item, Method | Given) and checks.looks_like_one(item)


def _pair(item: Any) -> Any:
    """Return a classifier with its name or None; what is no classifier as it is."""
    if not _is_one(item):
        if isinstance(item, tuple):
            raise TypeError(
                f'a classifier with a name must be ("name", classifier), got {quoted(item)}; as in ("rf", rf)'
            )
        return item
    if isinstance(item, str):
        return imported.built(item)
    return item if isinstance(item, tuple) else (None, item)


def _checked(name: str, value: Any, reserved: Collection[str]) -> Given:
    base = next((name.removesuffix(form) for form in FORMS if form and name.endswith(form)), name)
    if _NAME.fullmatch(name) is None or not base or len(name) > LONGEST:
        raise ValueError(
            f"the name of a classifier must be at most {LONGEST} letters, digits, - and _, got {quoted(name)}; as in rf"
        )
    taken = next((key for key in (base, *(f"{base}{form}" for form in FORMS)) if key in reserved), None)
    if taken is not None:
        raise ValueError(
            f"the name of a classifier must be its own, got {quoted(name)}, but {taken} is ours; as in my-{base}"
        )
    return _made(name, value)


def _unnamed(value: Any, taken: Collection[str]) -> Given:
    """Return a classifier named after its class, with -2 where that is taken."""
    base = default_name(value)
    for number in range(1, 1000):
        name = base if number == 1 else f"{base}-{number}"
        if not any(f"{name}{form}" in taken for form in FORMS):
            return _made(name, value)
    raise ValueError(f"classifiers of one class must be fewer than 1000, got more of {base}; name them")


def default_name(value: Any) -> str:
    """Return the name of one that has none: `lgbm` of LGBMClassifier, `random-forest`, of pipelines the last step."""
    steps = getattr(value, "steps", None)
    kind = (
        type(steps[-1][1]) if isinstance(steps, list) and steps else value if isinstance(value, type) else type(value)
    )
    word = re.sub(r"Classifier(CV)?$", "", kind.__name__) or kind.__name__
    return "-".join(_WORDS.split(word)).lower().strip("_")[: LONGEST - 15]


def _made(name: str, value: Any) -> Given:
    try:
        return named(name, value)
    except (ValueError, TypeError) as error:
        raise type(error)(f"method {name!r}: {error}") from None


def _once(made: Given, known: list[Given]) -> Given:
    """Return it, as the one of that name where this is the same classifier.

    Raises:
        ValueError: another classifier has the name.
    """
    same = next((one for one in known if one.name == made.name), None)
    if same is None:
        return made
    if same.described != made.described:
        raise ValueError(
            f"the name of a classifier must be its own, got {quoted(made.name)} for two; name one otherwise, as in "
            f'("{made.name}-2", classifier) or {made.name}-2=sklearn:...'
        )
    return replace(same, forms=made.forms, all_forms=made.all_forms)


def _keys(known: Iterable[Given]) -> set[str]:
    return {f"{one.name}{form}" for one in known for form in FORMS}
