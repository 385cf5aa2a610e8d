"""A stored stage is taken only where it is whole and of that very training; otherwise it is said and trained again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from longtail.engine import stage_store, state_files
from longtail.engine.stage_store import NAME

RECORDS = [{"epoch": 1}, {"epoch": 2}]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for name, size in (("aa", 2), ("bb", 3)):
        stage_store.save(tmp_path, name, f"of-{name}", torch.nn.Linear(size, 1), RECORDS)  # type: ignore[arg-type]
    return tmp_path


def test_it_comes_back_with_its_owner(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = stage_store.load(store, "aa", epochs=2)
    assert found is not None
    assert (found["owner"], found["records"]) == ("of-aa", RECORDS)
    assert found["learner"]["weight"].shape == (1, 2)
    assert stage_store.load(store, "cc", epochs=2) is None
    assert caplog.messages == []


DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "in the place of another": lambda mine, other: mine.write_bytes(other.read_bytes()),
    "half": lambda mine, other: mine.write_bytes(mine.read_bytes()[:-1]),
    "a changed weight": lambda mine, other: mine.write_bytes(mine.read_bytes()[:-1] + b"\x55"),
    "another kind of file": lambda mine, other: state_files.save(mine, {"stage": 0}),
    "of another length": lambda mine, other: state_files.save(mine, {**state_files.load(mine), "records": RECORDS[:1]}),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_what_is_not_it_is_said_and_gone(
    store: Path, damage: Callable[[Path, Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    mine = store / "aa" / NAME
    damage(mine, store / "bb" / NAME)
    assert stage_store.load(store, "aa", epochs=2) is None
    (line,) = caplog.messages
    assert line.startswith(f"{mine} is ")
    assert line.endswith("; training this stage again")
    assert not mine.exists()
