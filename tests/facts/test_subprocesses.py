"""Worker processes are started before there is work for them, and are those that the work gets."""

from __future__ import annotations

import os
import sys
import time

import pytest
from joblib import delayed

from longtail.facts.subprocesses import early_workers, pool


def _state(module: str) -> tuple[int, bool]:
    return os.getpid(), module in sys.modules


@pytest.mark.slow
def test_a_pool_gets_the_workers_that_have_imported() -> None:
    with early_workers(2, "colorsys"):  # a module that nothing here imports
        states = list(pool(2, "colorsys")(delayed(_state)("colorsys") for _ in range(4)))
    assert os.getpid() not in {process for process, _ in states}
    assert all(imported for _, imported in states)


@pytest.mark.slow
def test_where_the_block_fails_the_workers_end_and_others_can_be_started() -> None:
    def refuse() -> None:
        with early_workers(2, "colorsys"):
            time.sleep(1)  # no command is refused sooner: it imports torch first
            raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        refuse()
    assert list(pool(2, "string")(delayed(abs)(number) for number in (-1, -1))) == [1, 1]


GROWN: list[bytes] = []


def _grow() -> int:
    GROWN.append(b"x" * 4 * 10**8)
    time.sleep(1.2)  # joblib measures a worker's memory once a second
    return os.getpid()


@pytest.mark.slow
def test_a_worker_that_is_replaced_for_its_memory_stops_nothing() -> None:
    pytest.importorskip("psutil", reason="needs psutil: without it joblib does not measure")
    first = set(pool(2, "heapq")(delayed(os.getpid)() for _ in range(2)))
    later = list(pool(2, "heapq", timeout=60)(delayed(_grow)() for _ in range(8)))
    assert len(later) == 8
    assert set(later) - first


def test_one_worker_is_this_process() -> None:
    with early_workers(1, "there_is_no_such_module"):
        pass
