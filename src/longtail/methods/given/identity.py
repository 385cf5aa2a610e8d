"""What identifies a classifier of the user's: its class and all parameters as text, and the packages they come from."""

from __future__ import annotations

import functools
import hashlib
import types
from collections.abc import Iterator, Mapping
from enum import Enum
from importlib import metadata
from pathlib import PurePath
from typing import Any

import numpy as np

from longtail.facts.messages import quoted

DEEPEST = 12
"""Parameters inside of parameters; deeper ones hold each other in a circle."""
DISTRIBUTIONS = {"sklearn": "scikit-learn", "imblearn": "imbalanced-learn"}
"""Package -> what it is installed as, where that is another name."""
_PLAIN = (bool, int, float, complex, str, bytes, slice, range, PurePath, np.generic, np.dtype)
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, np.ufunc)


def path_of(kind: Any) -> str:
    """Return the dotted path of a class or function."""
    return f"{getattr(kind, '__module__', None) or 'numpy'}.{getattr(kind, '__qualname__', kind.__name__)}"


def described(estimator: Any) -> dict[str, str]:
    """Return the class of an estimator and the text of every parameter, sorted; nested estimators are part of these.

    Arrays stand with their digest. A changed body of a class or function is not seen.

    Raises:
        ValueError: a parameter without a text that says what it is.
    """
    parameters = parameters_of(estimator)
    return {"class": path_of(type(estimator)), **{key: text(parameters[key], key) for key in sorted(parameters)}}


def spelled(description: Mapping[str, str]) -> str:
    """Return a description as one text: `package.Class(a=1, b='x')`."""
    inner = ", ".join(f"{key}={value}" for key, value in description.items() if key != "class")
    return f"{description['class']}({inner})"


def parameters_of(estimator: Any) -> dict[str, Any]:
    """Return the parameters of an estimator, without those of the estimators in them."""
    return dict(estimator.get_params(deep=False))


def is_estimator(value: Any) -> bool:
    """Whether a value has parameters of its own, as scikit-learn's estimators have."""
    return hasattr(value, "get_params") and not isinstance(value, type)


def text(value: Any, where: str, depth: int = 0) -> str:
    """Return the text of a parameter, the same in every process.

    Args:
        value: the parameter.
        where: its name, for messages.
        depth: how many values it is inside of.

    Raises:
        ValueError: a value without such a text: a function without a name, an object with draws of its own.
    """
    if value is None or isinstance(value, Enum) or type(value) in _PLAIN or isinstance(value, _PLAIN):
        return repr(value.item() if isinstance(value, np.generic) else value)
    if depth > DEEPEST:
        raise _unnamed(where, "values that are nested too deeply")
    inner = functools.partial(text, where=where, depth=depth + 1)
    if isinstance(value, np.random.RandomState | np.random.Generator):
        raise _unnamed(where, "a generator of random numbers, whose state changes; give an integer or None")
    if isinstance(value, (type, *_FUNCTIONS)):
        if "<" in path_of(value):
            raise _unnamed(
                where, f"{value.__name__}, which no other process can find by name; give a function of a module"
            )
        return path_of(value)
    if isinstance(value, functools.partial):
        return f"partial({inner(value.func)}, {inner(value.args)}, {inner(value.keywords)})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{inner(key)}: {inner(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        ends = "[]" if isinstance(value, list) else "()"
        return ends[0] + ", ".join(map(inner, value)) + ends[1]
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(map(inner, value))) + "}"
    if is_estimator(value):
        named = {key: inner(one) for key, one in sorted(parameters_of(value).items())}
        return spelled({"class": path_of(type(value)), **named})
    if (array := _array(value)) is not None:
        return f"array({array.dtype}, {array.shape}, sha256 {_digest(array)})"
    return _of_attributes(value, inner, where)


def packages(estimator: Any) -> dict[str, str]:
    """Return the versions of the packages that an estimator and those in its parameters come from; none of scripts."""
    found = {}
    for one in nested(estimator):
        root = type(one).__module__.partition(".")[0]
        name = DISTRIBUTIONS.get(root, root)
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            version = getattr(__import__(root), "__version__", None) if root != "__main__" else None
            found |= {} if version is None else {name: str(version)}
    return dict(sorted(found.items()))


def nested(estimator: Any) -> Iterator[Any]:
    """Yield an estimator and every estimator in its parameters, at any depth."""
    waiting, seen = [estimator], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if is_estimator(one):
            yield one
            waiting += parameters_of(one).values()
        elif isinstance(one, list | tuple):
            waiting += one
        elif isinstance(one, Mapping):
            waiting += one.values()


def _array(value: Any) -> Any:
    """Return an array, frame or sparse matrix as an array; None of other values."""
    if hasattr(value, "toarray"):
        value = value.toarray()
    if isinstance(value, np.ndarray):
        return value
    return np.asarray(value) if hasattr(value, "__array__") and hasattr(value, "dtypes") else None


def _digest(array: Any) -> str:
    content = repr(array.tolist()).encode() if array.dtype.hasobject else np.ascontiguousarray(array).tobytes()
    return hashlib.sha256(content).hexdigest()[:16]


def _of_attributes(value: Any, inner: Any, where: str) -> str:
    """Return the text of another object by its attributes, as of a splitter of folds."""
    attributes = getattr(value, "__dict__", None)
    if attributes is None or "<" in path_of(type(value)):
        raise _unnamed(where, f"an object of {path_of(type(value))}, whose content cannot be read")
    named = {key: inner(one) for key, one in sorted(attributes.items())}
    return spelled({"class": path_of(type(value)), **named})


def _unnamed(where: str, got: str) -> ValueError:
    return ValueError(
        f"parameter {quoted(where)} must have a text that identifies its runs, got {got}"
        + ("" if ";" in got else "; give numbers, words, estimators or named functions")
    )
