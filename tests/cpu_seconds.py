"""A plugin that fails where a test is dear and not marked slow, or the contract of a method dearer than a CPU second.

`python -m pytest -n auto -m "not slow" -p tests.cpu_seconds`, on a machine with nothing else to do: CPU seconds grow
too where others share its caches, so `make check` does not run it.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator

import pytest

LIMIT = 1.0
"""CPU seconds of one test, and of all contract tests of a method, on average; without those of child processes."""
CONTRACT = "tests/methods/test_contract.py::TestEveryMethod::"
SPENT: Counter[str] = Counter()
"""Test, or method of the contract -> CPU seconds."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    begun, modules = time.process_time(), len(sys.modules)
    try:
        return (yield)
    finally:
        if len(sys.modules) - modules < 20:  # who comes first imports for all
            item.user_properties.append(("cpu_seconds", time.process_time() - begun))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when != "call" or "slow" in report.keywords:
        return
    _, contract, rest = report.nodeid.rpartition(CONTRACT)
    name = f"{CONTRACT}*[{rest.partition('[')[2]}" if contract else report.nodeid
    SPENT[name] += dict(report.user_properties).get("cpu_seconds", 0.0)


def dear() -> list[str]:
    of_methods = [SPENT[name] for name in SPENT if name.startswith(CONTRACT)]
    per_method = sum(of_methods) / len(of_methods) if of_methods else 0.0
    found = {"the contract of a method, on average": per_method} | {n: s for n, s in SPENT.items() if CONTRACT not in n}
    return [f"{seconds:.2f} CPU seconds: {name}" for name, seconds in found.items() if seconds > LIMIT]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if dear() and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in dear():
        terminalreporter.write_line(f"{line}; make it cheaper or mark it slow")
