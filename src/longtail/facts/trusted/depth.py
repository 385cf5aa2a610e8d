"""Packing and checking at any depth of a model: in pipelines, ensembles, calibrations and lists of these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from longtail.facts.trusted import forest, native
from longtail.facts.trusted.decision_trees import Trees, built
from longtail.facts.trusted.types import LOADERS, OBJECTS

Fields = dict[str, Any]

FITTING_ALONE: dict[str, Fields] = {
    "BalancedRandomForestClassifier": {"samplers_": [], "pipelines_": []},
    "RUSBoostClassifier": {"samplers_": [], "pipelines_": []},
    "MLPClassifier": {"_optimizer": None, "_random_state": None},
    "KNeighborsClassifier": {"_tree": None},
}
"""Class -> fields that only fitting needs, or that are built again, and what is saved instead."""
CHECKS: dict[str, Callable[[Any], None]] = {
    "RandomForestClassifier": native.check_forest,
    "ExtraTreesClassifier": native.check_forest,
    "BalancedRandomForestClassifier": native.check_forest,
    "GradientBoostingClassifier": native.check_boosting,
    "SVC": native.check_support_vectors,
    "KNeighborsClassifier": native.check_neighbors,
    "OneHotEncoder": native.check_one_hot,
}
"""What a fitted object must satisfy to be saved and, again, to be read."""
BUILT: dict[str, Callable[[Any], Any]] = {
    "HistGradientBoostingClassifier": forest.unpacked,
    "KNeighborsClassifier": native.build_search_tree,
}
"""What of an object is made again when it is read."""
TREES = ("DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier")
DICTS = LOADERS["DictNode"]
TABLE = {"model", "trees"}


class UnreadableError(ValueError):
    """The full name of a type, and why this object of it cannot be saved."""


def packed(model: Any) -> Any:
    """Return a copy of a model that holds nothing but what prediction needs; the model itself stays as it is.

    Trees become arrays, random generators None, fitted samplers unfitted ones.

    Raises:
        UnreadableError: it has a part of a trusted type that could not be checked when it is read.
    """
    trees = Trees()
    copy = _packed(model, trees)
    return {"model": copy, "trees": trees.table()} if trees.known else copy


def _packed(value: Any, trees: Trees) -> Any:
    if type(value) is list or type(value) is tuple:
        items = [_packed(item, trees) for item in value]
        return value if _same(items, value) else type(value)(items)
    if _name(value) in DICTS:
        copy = type(value)()
        copy.update((key, _packed(item, trees)) for key, item in value.items())
        return value if _same(copy.values(), value.values()) else copy
    if isinstance(value, np.ndarray) and value.dtype == object:
        array = np.empty(value.shape, dtype=object)
        for place in np.ndindex(value.shape):
            array[place] = _packed(value[place], trees)
        return array
    if _name(value) not in OBJECTS:
        return value
    try:
        needed = _needed(forest.packed(value), trees)
    except ValueError as reason:
        raise UnreadableError(f"{_name(value)} ({reason})") from None
    fields = {key: _packed(item, trees) for key, item in needed.items()}
    if _same(fields.values(), vars(value).values()) and fields.keys() == vars(value).keys():
        return value
    copy = object.__new__(type(value))
    vars(copy).update(fields)
    return copy


def _needed(value: Any, trees: Trees) -> Fields:
    """The fields of an object that prediction needs."""
    name, fields = type(value).__name__, vars(value)
    if hasattr(value, "fit_resample"):  # a sampler does nothing in prediction
        return dict(value.get_params(deep=False))
    if name in CHECKS:
        CHECKS[name](value)
    kept = {key: instead for key, instead in FITTING_ALONE.get(name, {}).items() if key in fields}
    if name in TREES and "tree_" in fields:
        kept["tree_"] = {"tree": trees.add(value.tree_)}
    random = (key for key, item in fields.items() if isinstance(item, (np.random.RandomState, np.random.Generator)))
    return {**fields, **dict.fromkeys(random), **kept}


def _same(new: Any, old: Any) -> bool:
    return all(a is b for a, b in zip(new, old, strict=True))


def _name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def unpacked(loaded: Any) -> Any:
    """Return the model that `packed` was given, every part of it checked.

    Raises:
        ValueError: a part would read outside of its arrays, or a field stands in the place of a method.
    """
    trees: list[Any] = []
    if type(loaded) is dict and loaded.keys() == TABLE:
        loaded, trees = loaded["model"], built(loaded["trees"])
    _check(loaded, trees, set())
    return loaded


def _check(value: Any, trees: list[Any], seen: set[int]) -> None:
    """Check a value after its parts; a function and its arguments hold nothing that is used."""
    if id(value) in seen:
        return
    if isinstance(value, (list, tuple)):
        parts = list(value)
    elif isinstance(value, dict):
        parts = list(value.values())
    elif isinstance(value, np.ndarray) and value.dtype == object:
        parts = list(value.flat)
    elif _name(value) in OBJECTS:
        parts = list(vars(value).values())
    else:
        return
    seen.add(id(value))
    for part in parts:
        _check(part, trees, seen)
    if _name(value) in OBJECTS:
        _check_object(value, trees)


def _check_object(value: Any, trees: list[Any]) -> None:
    name, fields = type(value).__name__, vars(value)
    for field in fields:
        if callable(getattr(type(value), field, None)):
            raise ValueError(f"its field {field[:40]} stands in the place of a method")
    if name in TREES and "tree_" in fields:
        place = fields["tree_"]
        number = place.get("tree") if isinstance(place, dict) else None
        if type(number) is not int or not 0 <= number < len(trees):
            raise ValueError("its trees are missing")
        if trees[number].n_features != value.n_features_in_:
            raise ValueError("its trees are for another number of columns")
        value.tree_ = trees[number]
    for once in (CHECKS, BUILT):
        if name in once:
            once[name](value)
