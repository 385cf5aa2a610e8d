"""Classifiers named in a string: `sklearn:package.module.Class(arg=value)`, of installed packages, never evaluated."""

from __future__ import annotations

import difflib
import functools
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterable, Mapping
from importlib import import_module, metadata, util
from pathlib import Path
from typing import Any

from longtail.catalogue import spec as specs
from longtail.facts.messages import quoted

PREFIX = "sklearn:"
_SPELLED = re.compile(r"^\s*(?:([^=:()\"']*?)\s*=\s*)?sklearn:(.*)$", re.DOTALL)
_PATH = re.compile(r"^\s*([A-Za-z]\w*(?:\.[A-Za-z]\w*)+)\s*(\(.*\))?\s*$", re.DOTALL)
_NEAR = 0.9
"""Likeness from which an argument that a class would pass on counts as a slip of the pen."""
EXAMPLE = '"sklearn:lightgbm.LGBMClassifier(n_estimators=50)"'


def is_spelled(item: Any) -> bool:
    """Whether an item of a list of methods names a classifier by its class."""
    return isinstance(item, str) and _SPELLED.match(item) is not None


def built(item: str) -> tuple[str | None, Any]:
    """Return the name that stands before a classifier, or None, and the classifier, unfitted.

    Raises:
        ValueError: text of another form, a class that cannot be imported, an argument that it does not have.
    """
    match = _SPELLED.match(item)
    assert match is not None
    name, rest = match.groups()
    parts = _PATH.match(rest)
    if parts is None:
        raise ValueError(
            f"a classifier must be named as sklearn:package.module.Class(arg=value), got {quoted(item)}; "
            f"as in {EXAMPLE}"
        )
    path, body = parts.groups()
    _, values = specs.parse(f"{path.rpartition('.')[2]}{body or ''}")
    return name, _made(class_of(path), values, path)


def class_of(path: str) -> Any:
    """Import the class of that dotted path.

    Only the package that is named is imported, and only where it is installed: nothing of the current folder.

    Raises:
        ValueError: the package is not installed, cannot be imported, or has no such class.
    """
    module_name, _, name = path.rpartition(".")
    root = module_name.partition(".")[0]
    if (why := _not_installed(root)) is not None:
        raise ValueError(f"{PREFIX}{path}: {why}")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise ValueError(f"{PREFIX}{path}: {root} needs {error.name}, which is not installed; install it") from None
        raise ValueError(
            f"{PREFIX}{path}: {root} has no module {module_name}; {_near_module(module_name, root)}"
        ) from None
    except Exception as error:  # whatever the code of a package raises
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise ValueError(
            f"{PREFIX}{path}: {module_name} cannot be imported ({reason}); mend its installation"
        ) from None
    found = getattr(module, name, None)
    if not isinstance(found, type):
        what = "no class" if found is None else f"no class but {quoted(type(found).__name__)}"
        raise ValueError(f"{PREFIX}{path}: {module_name} has {what} {name}; {_hint(path, root, module)}")
    return found


def parameter_names(kind: type) -> tuple[set[str], bool]:
    """Return the names of the arguments of a class and its bases, and whether it passes on others."""
    names: set[str] = set()
    for one in kind.__mro__:
        init = one.__dict__.get("__init__")
        if not inspect.isfunction(init):
            continue
        given = list(inspect.signature(init).parameters.values())[1:]
        names |= {p.name for p in given if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
        if not any(p.kind is p.VAR_KEYWORD for p in given):
            return names, False
    return names, True


def _made(kind: Any, values: dict[str, Any], path: str) -> Any:
    known, passes_on = parameter_names(kind)
    for name in values:
        near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=_NEAR if passes_on else 0.5)
        if name not in known and (near or not passes_on):
            hint = f"did you mean {near[0]}? " if near else ""
            accepted = "" if len(known) > 30 else f"; it has {', '.join(sorted(known))}"
            raise ValueError(
                f"{PREFIX}{path} has no argument {quoted(name)}{accepted}; {hint}see the documentation of "
                f"{kind.__name__}"
            )
    try:
        return kind(**values)
    except Exception as error:  # whatever the constructor of another package raises
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise ValueError(f"{PREFIX}{path} cannot be made with these arguments ({reason}); correct them") from None


def _not_installed(root: str) -> str | None:
    """Return why a package cannot be imported by name, or None where it is an installed one."""
    if root in sys.stdlib_module_names:
        return f"{root} is part of Python and has no classifiers; name an installed package"
    try:
        found = util.find_spec(root)
    except (ImportError, ValueError):
        found = None
    installed = _installed()
    known = installed.get(root, [])
    if found is None or not known:
        near = difflib.get_close_matches(root, installed, n=1, cutoff=0.7)
        hint = f"did you mean {near[0]}? " if near else ""
        where = "is not installed" if found is None else "is a module of a folder, not an installed package"
        way = "install it" if found is None else "pass the classifier itself in Python"
        return f"package {root} {where}; {hint}{way}"
    places = [Path(str(metadata.distribution(one).locate_file(root))) for one in known]
    origins = [Path(one) for one in found.submodule_search_locations or [found.origin or ""]]
    if not any(place.exists() and place.samefile(origin) for place in places for origin in origins if origin.exists()):
        return f"package {root} is not where it was installed, but {origins[0]}; pass the classifier itself in Python"
    return None


@functools.cache
def _installed() -> Mapping[str, list[str]]:
    """Return the packages that can be imported -> what they are installed as; reading all takes a second."""
    return metadata.packages_distributions()


def _hint(path: str, root: str, module: Any = None) -> str:
    """Return the nearest class, of the module or, in scikit-learn, of all its classifiers."""
    name = path.rpartition(".")[2]
    here = {} if module is None else {one: f"{module.__name__}.{one}" for one in _classes(module)}
    if root == "sklearn":
        from sklearn.utils import all_estimators

        here |= {one: f"{kind.__module__.partition('._')[0]}.{one}" for one, kind in all_estimators("classifier")}
    near = difflib.get_close_matches(name, sorted(here), n=1, cutoff=0.5)
    return f"did you mean {here[near[0]]}?" if near else f"see the documentation of {root}"


def _near_module(name: str, root: str) -> str:
    """Return the nearest module of a package."""
    known = [f"{root}.{one.name}" for one in pkgutil.iter_modules(import_module(root).__path__)]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"see the documentation of {root}"


def _classes(module: Any) -> Iterable[str]:
    return (one for one in dir(module) if isinstance(getattr(module, one, None), type))
