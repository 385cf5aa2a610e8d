"""A search here draws no picture, which costs more than its trainings."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_sensitivity_plot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longtail.report.sensitivity_plot.svg", lambda summary: None)
