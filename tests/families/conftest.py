"""The trial methods stand in the catalogue while a test of this folder runs, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import toys

from longtail.methods import menu


@pytest.fixture(autouse=True, scope="module")
def registered() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(menu, "CATALOG", {**menu.CATALOG, **toys.TOYS})
        yield
