"""Many cheap cases of one claim in one test: a test of its own costs three milliseconds, most cases less."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import pytest

Test = Callable[..., None]


def cases(names: str | tuple[str, ...], values: Iterable[Any], ids: Any = None) -> Callable[[Test], Test]:
    """Like `pytest.mark.parametrize`, in one test: every case runs, and each that fails is reported with its name.

    Fixtures are made once for all cases.
    """
    keys = tuple(name.strip() for name in names.split(",")) if isinstance(names, str) else names
    values = list(values)
    rows = [(value,) if isinstance(names, str) and len(keys) == 1 else tuple(value) for value in values]
    named = ids if callable(ids) else repr
    texts = ["-".join(str(named(part)) for part in row) for row in rows] if ids is named or not ids else list(ids)
    assert rows, f"no cases of {names}"

    def decorated(test: Test) -> Test:
        @functools.wraps(test)
        def all_cases(*args: Any, **fixtures: Any) -> None:
            failures = []
            for text, row in zip(texts, rows, strict=True):
                try:
                    test(*args, **fixtures, **dict(zip(keys, row, strict=True)))
                except (Exception, pytest.fail.Exception, BaseExceptionGroup) as failure:
                    failure.add_note(f"case {', '.join(keys)}: {text}")
                    failures.append(failure)
            if len(failures) == 1:
                raise failures[0]
            if failures:
                raise BaseExceptionGroup(f"{len(failures)} of {len(rows)} cases failed", failures)

        signature = inspect.signature(test)
        others = [p for name, p in signature.parameters.items() if name not in keys]
        assert len(others) + len(keys) == len(signature.parameters), f"{test.__name__} must take {keys}"
        all_cases.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        return all_cases

    return decorated
