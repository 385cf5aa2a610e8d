"""Nothing here draws a picture, but for the tests that ask for `drawn`."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="module")
def no_pictures(undrawn: object) -> None: ...
