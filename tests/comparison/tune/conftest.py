"""A search here draws no picture, which costs more than its trainings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def no_sensitivity_plot() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("longtail.report.sensitivity_plot.svg", lambda summary: None)
        yield
