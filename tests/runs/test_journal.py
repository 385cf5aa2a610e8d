"""A run in progress has one line per finished epoch, and goes on only from what its checkpoint vouches for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import longtail as lt
from longtail.engine import state_files
from longtail.runs.journal import LINES, STATE, VARIABLE, Journal, append_record

CONFIG = {"method": "ce", "threads": 1}


def state(finished: int) -> dict[str, Any]:
    return {
        "stage": 0, "epoch": finished, "finished": finished, "records": [], "hash": "aa",
        "before": [], "learner": {"weight": torch.arange(float(finished))}, "update": {}, "optimizer": None,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three epochs are finished."""
    journal = Journal(tmp_path, CONFIG)
    assert journal.resume() is None
    for epoch in (1, 2, 3):
        journal.add({"epoch": epoch}, partial(state, epoch))
    return tmp_path


def epochs(folder: Path) -> list[int]:
    return [json.loads(line)["epoch"] for line in (folder / LINES).read_text().splitlines()]


def test_it_goes_on_where_it_was_and_again(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for finished in (3, 4, 5):
        journal = Journal(folder, CONFIG)
        found = journal.resume()
        assert found is not None
        assert found["finished"] == finished
        assert torch.equal(found["learner"]["weight"], torch.arange(float(finished)))
        journal.add({"epoch": finished + 1}, partial(state, finished + 1))
    assert epochs(folder) == [1, 2, 3, 4, 5, 6]
    assert caplog.messages == []


def test_lines_after_the_checkpoint_and_half_lines_are_cut(folder: Path) -> None:
    for beyond in (b'{"epoch": 4}\n', b'{"epo', b'{"epoch": 4}\n{"', b"\xff"):
        with open(folder / LINES, "ab") as file:
            file.write(beyond)
        found = Journal(folder, CONFIG).resume()
        assert found is not None
        assert found["finished"] == 3
        assert epochs(folder) == [1, 2, 3]


def test_without_a_checkpoint_every_line_goes(folder: Path) -> None:
    (folder / STATE).unlink()
    assert Journal(folder, CONFIG).resume() is None
    assert epochs(folder) == []


def another_checkpoint(folder: Path, **changes: Any) -> None:
    state_files.save(folder / STATE, {**state_files.load(folder / STATE), **changes})


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a changed line": (
        lambda f: (f / LINES).write_text('{"epoch": 1}\n{"epoch": 9}\n{"epoch": 3}\n'), "changed since the checkpoint",
    ),
    "a lost line": (lambda f: (f / LINES).write_text('{"epoch": 1}\n{"epoch": 2}\n'), "has lost lines"),
    "no line": (lambda f: (f / LINES).unlink(), "has lost lines"),
    "a checkpoint of another run": (lambda f: another_checkpoint(f, config="x"), "is of another run"),
    "another kind of file": (lambda f: state_files.save(f / STATE, {"owner": "x"}), "no checkpoint of a run"),
    "a list": (lambda f: state_files.save(f / STATE, [1]), "no checkpoint of a run"),
    "half a checkpoint": (lambda f: (f / STATE).write_bytes((f / STATE).read_bytes()[:-1]), "is damaged"),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "told"), DAMAGES.values(), ids=DAMAGES.keys())
def test_what_is_damaged_is_said_in_one_line_and_begun_anew(
    folder: Path, damage: Callable[[Path], object], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    damage(folder)
    assert Journal(folder, CONFIG).resume() is None
    (line,) = caplog.messages
    assert told in line
    assert line.endswith("; beginning this run anew")
    assert not (folder / LINES).exists() or epochs(folder) == []


def test_a_checkpoint_made_under_another_configuration_is_not_gone_on_from(folder: Path) -> None:
    assert Journal(folder, {**CONFIG, "threads": 2}).resume() is None  # another count gives other last bits


def test_the_checkpoint_of_a_neighbour_is_not_gone_on_from(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    journal = Journal(other, {**CONFIG, "method": "focal"})
    journal.resume()
    journal.add({"epoch": 1}, partial(state, 1))
    shutil.copy(other / STATE, folder / STATE)
    assert Journal(folder, CONFIG).resume() is None


def test_what_is_not_a_number_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        append_record(tmp_path, {"loss": float("nan")})
    assert not (tmp_path / LINES).exists() or (tmp_path / LINES).read_bytes() == b""


class TestByTheClock:
    """Lines are written at once, checkpoints no more often than the clock says."""

    @pytest.fixture
    def now(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """The time in seconds, which the test sets."""
        monkeypatch.delenv(VARIABLE, raising=False)
        clock = [0.0]
        monkeypatch.setattr("longtail.runs.journal.time", SimpleNamespace(monotonic=lambda: clock[0]))
        return clock

    def test_a_checkpoint_comes_after_a_second(self, tmp_path: Path, now: list[float]) -> None:
        journal = Journal(tmp_path, CONFIG)
        journal.resume()
        written = []
        for epoch in range(1, 31):
            now[0] = epoch / 8
            journal.add({"epoch": epoch}, partial(state, epoch))
            if (tmp_path / STATE).exists():
                written.append(state_files.load(tmp_path / STATE)["finished"])
        assert sorted(set(written)) == [8, 16, 24]
        assert epochs(tmp_path) == list(range(1, 31))

    def test_what_is_not_in_a_checkpoint_is_cut_on_resume(self, tmp_path: Path, now: list[float]) -> None:
        journal = Journal(tmp_path, CONFIG)
        journal.resume()
        for epoch, at in ((1, 1.5), (2, 1.6), (3, 1.7)):
            now[0] = at
            journal.add({"epoch": epoch}, partial(state, epoch))
        resumed = Journal(tmp_path, CONFIG).resume()
        assert resumed is not None
        assert resumed["finished"] == 1
        assert epochs(tmp_path) == [1]

    def test_states_are_made_for_checkpoints_only(self, tmp_path: Path, now: list[float]) -> None:
        journal = Journal(tmp_path, CONFIG)
        journal.resume()
        journal.add({"epoch": 1}, lambda: pytest.fail("no checkpoint is due"))
        journal.write_checkpoint(partial(state, 1))
        journal.write_checkpoint(lambda: pytest.fail("the checkpoint has all lines"))

    def test_a_slow_disk_has_fewer(self, tmp_path: Path, now: list[float]) -> None:
        journal = Journal(tmp_path, CONFIG)
        journal.resume()

        def slow(epoch: int) -> dict[str, Any]:
            now[0] += 10.0
            return state(epoch)

        written = []
        for epoch in range(1, 401):
            now[0] += 1.0
            journal.add({"epoch": epoch}, lambda e=epoch: written.append(e) or slow(e))  # type: ignore[misc]
        assert written == [1, 201]  # 10 s each, at most a twentieth of the time

    @pytest.mark.parametrize("given", ["-1", "soon", "nan", "inf"])
    def test_the_variable_is_a_number_of_seconds(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
    ) -> None:
        monkeypatch.setenv(VARIABLE, given)
        with pytest.raises(ValueError, match=f"{VARIABLE} must be a number of seconds, 0 or more, got '{given}'"):
            Journal(tmp_path, CONFIG)


def test_a_training_that_is_closed_loses_no_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "3600")
    x, y = torch.randn(60, 4), torch.arange(60) % 3
    training = lt.fit("ce", x, y, folder=tmp_path / "run")
    before = [next(training)["epoch"] for _ in range(5)]
    training.close()
    assert before == epochs(tmp_path / "run") == [1, 2, 3, 4, 5]
    assert next(lt.fit("ce", x, y, folder=tmp_path / "run"))["epoch"] == 6


def test_a_finished_training_has_the_checkpoint_of_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "3600")
    records = list(lt.fit("ce", torch.randn(60, 4), torch.arange(60) % 3, folder=tmp_path / "run"))
    assert state_files.load(tmp_path / "run" / STATE)["finished"] == len(records)
