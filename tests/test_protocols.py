"""No protocol with data members can be asked for by isinstance: Python 3.12 and 3.11 would answer differently.

Since 3.12 such a check does not call `__getattr__`, which is where `nn.Module` keeps its submodules.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import pkgutil
from collections.abc import Iterator

import pytest

import longtail
from longtail.data.prepare.preparation import Preparation


def protocols() -> Iterator[type]:
    """Every protocol that a module of ours defines, but for the command line's own entry."""
    for found in pkgutil.walk_packages(longtail.__path__, "longtail."):
        if found.name == "longtail.__main__":
            continue
        module = importlib.import_module(found.name)
        for value in vars(module).values():
            if inspect.isclass(value) and getattr(value, "_is_protocol", False) and value.__module__ == found.name:
                yield value


def data_members(protocol: type) -> set[str]:
    own = {n for n, value in vars(protocol).items() if not callable(value) and not isinstance(value, classmethod)}
    return {n for n in own | set(inspect.get_annotations(protocol)) if not n.startswith("_")}


def test_no_protocol_with_data_members_is_runtime_checkable() -> None:
    found = list(protocols())
    assert Preparation in found
    assert data_members(Preparation) == {"kind"}
    checkable = [p.__qualname__ for p in found if data_members(p) and getattr(p, "_is_runtime_protocol", False)]
    assert checkable == []


def test_asking_for_one_by_isinstance_fails_on_every_python() -> None:
    with pytest.raises(TypeError, match="runtime"):
        isinstance(object(), Preparation)  # type: ignore[misc]


def test_the_sources_ask_for_no_protocol_by_isinstance_that_has_data_members() -> None:
    forbidden = {p.__name__ for p in protocols() if data_members(p)}
    for found in pkgutil.walk_packages(longtail.__path__, "longtail."):
        spec = importlib.util.find_spec(found.name)
        assert spec is not None
        assert spec.origin is not None
        with open(spec.origin, encoding="utf-8") as file:
            tree = ast.parse(file.read())
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
                names = {n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)}
                assert not names & forbidden, f"{spec.origin}:{node.lineno}"
