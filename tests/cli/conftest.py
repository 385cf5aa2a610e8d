"""Every command here is parsed by the same parser; only the tests that ask for `drawn` draw a picture."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest
import typer.main


@pytest.fixture(autouse=True, scope="module")
def no_pictures(undrawn: object) -> None: ...


@pytest.fixture(autouse=True, scope="module")
def one_parser() -> Iterator[None]:
    """typer makes its parser of all signatures anew in every call, which takes longer than most commands here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", functools.cache(typer.main.get_command))
        yield
