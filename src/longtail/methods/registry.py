"""Methods by name: those of the catalogue, and those that installed packages add."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from typing import Any

from longtail.catalogue.choose import choose
from longtail.catalogue.describe import explanation, method_rows
from longtail.catalogue.method import Builders, Method
from longtail.catalogue.resolve import resolve
from longtail.catalogue.tasks import TASKS
from longtail.data import Part, TrainingSet
from longtail.engine import Recipe
from longtail.methods import given
from longtail.methods.entries import CATALOG, PRESETS

log = logging.getLogger(__name__)

ENTRY_POINTS = "longtail.methods"
"""Other packages add methods here: `key = "package.module:builder"`, a builder like those above."""


def catalogue() -> Builders:
    """Return our methods and those that installed packages add, each under a name of its own.

    Raises:
        ValueError: two methods under one name.
    """
    builders = dict(CATALOG)
    for point in entry_points(group=ENTRY_POINTS):
        if point.name in builders:
            whose = "of one of ours" if point.name in CATALOG else "that another package uses"
            raise ValueError(f"method {point.name!r} of {point.value} has the name {whose}; rename its entry point")
        try:
            builders[point.name] = point.load()
        except Exception as error:  # an error in another package must not stop this one
            log.warning("method %r of %s cannot be loaded (%s) and is left out", point.name, point.value, error)
    return builders


def method(spec: Any, beside: Iterable[Any] = ()) -> Method:
    """Return the method that a spec string names, such as "ldam-drw(scale=20)"; see `resolve`.

    Args:
        spec: the string, a `Method`, or a classifier of the user's (see `given_classifiers`), of which this is the
            first row.
        beside: classifiers of the user's, or methods that are rows of these, whose names a string may have.
    """
    if isinstance(spec, Method):
        return spec
    _one_method(spec)
    one = given.read_one(spec, reserved())
    return one.method() if isinstance(one, given.Given) else resolve(one, {**catalogue(), **given.builders_of(beside)})


def _one_method(spec: Any) -> None:
    """Raise ValueError for the name of a preset, which is several methods."""
    if isinstance(spec, str) and spec in PRESETS.keys:
        keys = ", ".join(PRESETS.of(spec)[:5])
        raise ValueError(
            f"method must be one method, got {spec!r}, a preset of several (longtail compare); name one, such as {keys}"
        )


def reserved() -> set[str]:
    """Return the names that are ours: of methods and presets."""
    return {*catalogue(), *PRESETS.keys}


def given_classifiers(asked: Any) -> Any:
    """Return what was asked for with the classifiers of the user's read: unfitted ones, and `sklearn:package.Class()`.

    A classifier may stand alone, as ("name", classifier) or as "name=sklearn:package.module.Class(arg=value)".

    Raises:
        ValueError, TypeError: see `methods.given.read`.
    """
    return given.read(asked, reserved())


def methods(
    asked: Any = "quick",
    *,
    val: bool = False,
    table: bool = False,
    embeddings: bool = False,
    task: str | None = None,
    data: TrainingSet | Part | None = None,
    truth: bool = False,
    recipe: Recipe | None = None,
    beside: Iterable[Any] = (),
    folds: Mapping[str, Part] | None = None,
) -> list[Method]:
    """The methods of a comparison, each once, in the order asked; see `choose`.

    A classifier of the user's gives its rows (`given_classifiers`), which specs may name; `beside` as in `method`.
    """
    asked = given_classifiers(asked)
    if not isinstance(asked, str):
        rows = ((item.methods(val=val) if isinstance(item, given.Given) else [item]) for item in asked)
        beside, asked = [*beside, *asked], [one for some in rows for one in some]
    return choose(
        asked, {**catalogue(), **given.builders_of(beside)}, PRESETS, val=val, table=table, embeddings=embeddings,
        task=task, data=data, truth=truth, recipe=recipe, folds=folds,
    )  # fmt: skip


def added(task: str, baseline: Method | None = None, *, truth: bool = False) -> list[Method]:
    """Return the methods that every comparison of a task has: its reference first, then those shown as context.

    Args:
        task: of the comparison.
        baseline: the reference in place of the task's own.
        truth: whether true labels are known where labels are missing or sets, for context methods that need them.

    Raises:
        ValueError: one of them is not in the catalogue.
    """
    builders = catalogue()
    keys = (*(() if baseline else (TASKS[task].reference,)), *TASKS[task].always_shown)
    if missing := [key for key in keys if key not in builders]:
        raise ValueError(
            f"{task} methods are compared with {missing[0]!r}, which is not among the methods; install a package that "
            f"adds it by the entry points {ENTRY_POINTS}, or train each method by itself"
        )
    always = [one for one in (resolve(key, builders) for key in keys) if truth or not one.needs_truth]
    return [*([baseline] if baseline else []), *always]


def overview(task: str | None = None) -> list[dict[str, Any]]:
    """Return what `longtail methods` prints: one dict per method."""
    return method_rows(catalogue(), PRESETS, task)


def explained(name: str) -> dict[str, Any]:
    """Return what `longtail explain` prints about one method, or a classifier as "sklearn:package.module.Class"."""
    _one_method(name)
    one = given.read_one(name, reserved())
    if not isinstance(one, given.Given):
        return explanation(name, catalogue(), PRESETS)
    found = explanation(one.method().spec, {**catalogue(), **one.builders}, PRESETS)
    return {**found, **one.explained()}
