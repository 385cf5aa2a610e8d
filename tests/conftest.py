"""What every session says and, where CI asks, insists on.

It prints the versions of the packages that longtail is tried inside of. With LONGTAIL_REQUIRE_INTEGRATIONS=1 a skip
in tests/integrations, of a guide page or of the Triton kernels is a failure, except where there is no C++ compiler for
inductor. With LONGTAIL_REQUIRE_BROWSER=1 a skip of the tests that need Chromium and axe is one, too.
"""

from __future__ import annotations

import functools
import gc
import importlib.metadata
import logging
import os
import pkgutil
import sys

# before torch is imported anywhere: many small trainings side by side, one thread each
os.environ.setdefault("OMP_NUM_THREADS", "1")
# interrupted anywhere, a test knows which epoch its run resumes from
os.environ.setdefault("LONGTAIL_CHECKPOINT_SECONDS", "0")

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pytest

# before longtail is imported anywhere: what is installed does not change meanwhile, and asking reads many files
importlib.metadata.entry_points = functools.cache(importlib.metadata.entry_points)

INTEGRATIONS = ("torch", "lightning", "transformers", "accelerate", "skorch", "scikit-learn")
PLACES = (
    "tests/integrations/",
    "tests/test_guide.py",
    "tests/labels/test_against_cleanlab.py",
    "tests/functional/test_gpu.py",
    "tests/functional/test_kernels_compile.py",
    "tests/losses/test_one_kernel.py",
)
LEGITIMATE = "no C++ compiler"
IN_BROWSER = ("tests/report/page/test_page_in_browser.py",)
INSISTED = {
    "LONGTAIL_REQUIRE_INTEGRATIONS": (PLACES, "install longtail[test]"),
    "LONGTAIL_REQUIRE_BROWSER": (IN_BROWSER, "install Chromium and axe, as .ci/run does"),
}
"""Variable of the environment -> the places where a skip is a failure once it is 1, and the way out."""


def versions() -> str:
    def of(package: str) -> str:
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            return f"{package} absent"

    return "tried inside of: " + ", ".join(map(of, INTEGRATIONS))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Any:
    """Importing makes nothing but what stays: no garbage to look for meanwhile."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


FROZEN = 0
"""How many modules were loaded when the garbage collector last put everything aside."""


def pytest_runtest_logstart() -> None:
    """Imported modules stay: neither the garbage collector nor pytest's log capture goes through them every time.

    The capture takes hold of each logger that does not propagate, six times a test, and torch has sixty.
    """
    global FROZEN
    if len(sys.modules) > FROZEN + 20:
        gc.collect()
        gc.freeze()
        FROZEN = len(sys.modules)
        for name, logger in logging.root.manager.loggerDict.items():
            if name.startswith("torch") and isinstance(logger, logging.Logger):
                logger.propagate = True


def pytest_unconfigure() -> None:
    gc.unfreeze()  # Triton's bindings complain of whatever is not collected in the end


DRAWING = "longtail.report.picture.svg"


@pytest.fixture(scope="module")
def undrawn() -> Iterator[Any]:
    """Comparisons without recall.svg, which costs more than the small trainings that it shows; yields what draws it."""
    with pytest.MonkeyPatch.context() as patch:
        drawing = pkgutil.resolve_name(DRAWING)
        patch.setattr(DRAWING, lambda summary: None)
        yield drawing


@pytest.fixture
def drawn(undrawn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With recall.svg all the same."""
    monkeypatch.setattr(DRAWING, undrawn)


def pytest_report_header() -> str:
    return versions()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not terminalreporter.showheader:  # -q leaves the header out
        terminalreporter.write_line(versions())


def _insisted(report: Any) -> Any:
    skipped = report.outcome == "skipped" and not hasattr(report, "wasxfail")
    if not skipped:
        return report
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    for variable, (places, way_out) in INSISTED.items():
        asked = os.environ.get(variable) == "1" and report.nodeid.startswith(places)
        if asked and LEGITIMATE not in reason:
            report.outcome = "failed"
            report.longrepr = f"{report.nodeid}: a skip is a failure here ({reason}); {way_out}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Any:
    return _insisted((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Any:
    return _insisted((yield))
