"""The guide names the versions that are installed for the tests, and the floors that pyproject declares."""

from __future__ import annotations

import os
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guide" / "in-your-loop.md").read_text()
TABLE = {
    name: (tested, floor) for name, tested, floor in re.findall(r"^\| ([a-z]+) \| ([\d.]+) \| ([\d.]+) \|$", PAGE, re.M)
}
PINNED = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M))
EXTRA = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["test"]


def test_the_table_has_a_row_for_everything() -> None:
    assert set(TABLE) == {"torch", "lightning", "transformers", "accelerate", "skorch"}


@pytest.mark.parametrize("package", sorted(TABLE))
def test_the_tested_version_is_the_pinned_one(package: str) -> None:
    assert TABLE[package][0] == PINNED[package]


@pytest.mark.parametrize("package", sorted(set(TABLE) - {"torch"}))
def test_the_oldest_version_is_the_floor_of_the_extra(package: str) -> None:
    floors = [re.search(r">=([\d.]+)", named)[1] for named in EXTRA if re.split(r"[>=!]", named)[0] == package]
    assert floors == [TABLE[package][1]]


@pytest.mark.parametrize("package", sorted(TABLE))
def test_what_is_installed_is_what_is_pinned(package: str) -> None:
    """Else the page claims what CI did not try."""
    if os.environ.get("LONGTAIL_REQUIRE_INTEGRATIONS") != "1":
        pytest.skip("asked of CI alone; other versions are welcome elsewhere")
    assert version(package).split("+")[0] == PINNED[package]
