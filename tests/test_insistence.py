"""Where CI asks for it, a skipped integration fails the session, and the versions are always printed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # each is a pytest of its own

ABSENT = "import pytest\npytest.importorskip('longtail_absent')\n\ndef test_never() -> None: ...\n"
SKIPPED = "import pytest\n\ndef test_skipped() -> None:\n    pytest.skip('{reason}')\n"


def session(folder: Path, name: str, content: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """pytest over one file below a folder that has our conftest."""
    (folder / "tests" / name).parent.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("conftest.py"), folder / "tests")
    (folder / "tests" / name).write_text(content)
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "--rootdir", str(folder), "tests"]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("LONGTAIL_", "PYTEST_"))}
    return subprocess.run(command, cwd=folder, env=clean | environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("content", [ABSENT, SKIPPED.format(reason="not today")], ids=["at import", "in a test"])
@pytest.mark.parametrize("name", ["integrations/test_x.py", "test_guide.py"])
def test_a_skip_fails_where_it_is_asked_for(tmp_path: Path, name: str, content: str) -> None:
    lenient = session(tmp_path / "lenient", name, content)
    strict = session(tmp_path / "strict", name, content, LONGTAIL_REQUIRE_INTEGRATIONS="1")
    assert lenient.returncode in (0, 5), lenient.stdout  # 5: nothing was collected
    assert "1 skipped" in lenient.stdout
    assert strict.returncode in (1, 2), strict.stdout
    assert "a skip is a failure here" in strict.stdout


def test_a_missing_browser_fails_where_it_is_asked_for(tmp_path: Path) -> None:
    name, skipped = "report/page/test_page_in_browser.py", SKIPPED.format(reason="no Chromium")
    assert session(tmp_path / "lenient", name, skipped, LONGTAIL_REQUIRE_INTEGRATIONS="1").returncode == 0
    strict = session(tmp_path / "strict", name, skipped, LONGTAIL_REQUIRE_BROWSER="1")
    assert strict.returncode == 1, strict.stdout
    assert "a skip is a failure here (Skipped: no Chromium); install Chromium and axe" in strict.stdout


def test_no_compiler_and_other_places_may_skip(tmp_path: Path) -> None:
    compiler = SKIPPED.format(reason="no C++ compiler for inductor")
    asked = {"LONGTAIL_REQUIRE_INTEGRATIONS": "1"}
    assert session(tmp_path / "one", "integrations/test_x.py", compiler, **asked).returncode == 0
    other = SKIPPED.format(reason="not today")
    assert session(tmp_path / "two", "test_other.py", other, **asked).returncode == 0


def test_the_versions_are_printed_quietly_too(tmp_path: Path) -> None:
    printed = session(tmp_path, "test_x.py", "def test_x() -> None: ...\n").stdout
    assert "tried inside of: torch 2." in printed
    assert all(f" {package} " in printed for package in ("lightning", "transformers", "accelerate", "skorch"))
