"""The tests, on the machine of the GPU: those that need one, and the fast ones."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks.gpu.setting import NotMeasuredError, Result, Setting

ROOT = Path(__file__).parents[2]
SMOKE_TEST = "tests/test_layers.py"
"""What a smoke test runs in place of all fast tests."""
WORKERS = 8


def gpu_tests(setting: Setting) -> Iterator[Result]:
    """Run the tests marked `gpu`; elsewhere they are skipped."""
    files = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.gpu" in path.read_text()]
    if not files:
        raise NotMeasuredError("no test is marked gpu")
    yield outcome([*map(str, files), "-m", "gpu"])


def fast_tests(setting: Setting) -> Iterator[Result]:
    """Run the fast tests, several at a time."""
    if setting.small:
        yield outcome([SMOKE_TEST])
        return
    several = ["-n", str(WORKERS), "--dist", "worksteal"] if find_spec("xdist") else []
    yield outcome(["-m", "not slow and not gpu", "--ignore", "tests/integrations", *several])


def outcome(arguments: list[str]) -> Result:
    """Run pytest in a process of its own, and return how many tests passed, failed and were skipped, and which failed.

    Raises:
        RuntimeError: pytest ended before it had run the tests.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        without = ["-p", "no:cacheprovider", "-p", "no:benchmark"]  # the latter warns beside xdist, where it stands
        command = [sys.executable, "-m", "pytest", "-q", *without, f"--junitxml={report}", *arguments]
        path = os.pathsep.join(filter(None, (str(ROOT / "src"), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if not report.exists():
            raise RuntimeError(f"pytest ended with {done.returncode}: {(done.stdout + done.stderr)[-300:]}")
        return counted(report)


def counted(report: Path) -> Result:
    """Return the numbers of a JUnit file."""
    suites = ElementTree.parse(report).getroot().iter("testsuite")
    numbers: dict[str, Any] = {"passed": 0, "failed": 0, "skipped": 0, "seconds": 0.0, "failures": []}
    for suite in suites:
        tests, failed, errors, skipped = (int(suite.get(k, 0)) for k in ("tests", "failures", "errors", "skipped"))
        numbers["failed"] += failed + errors
        numbers["skipped"] += skipped
        numbers["passed"] += tests - failed - errors - skipped
        numbers["seconds"] += float(suite.get("time", 0))
        for case in suite.iter("testcase"):
            problem = case.find("failure") if case.find("failure") is not None else case.find("error")
            if problem is not None:
                message = " ".join((problem.get("message") or "").split())[:200]
                numbers["failures"].append(f"{case.get('classname')}::{case.get('name')}: {message}")
    return numbers
