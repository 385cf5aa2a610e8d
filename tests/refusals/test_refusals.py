"""Five hundred generated bad inputs: each is refused in one short line, soon, in little memory; good twins pass."""

from __future__ import annotations

import random
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusal_calls import call
from refusal_case import Case, arrays
from refusal_files import array, images, model, place, role, table
from refusal_words import method, option, unread

import longtail
from longtail.cli import run

SEED, COUNT = 12, 500
SECONDS, BYTES, LINE = 60, 4 * 2**30, 1100

OURS = str(Path(longtail.__file__).parent)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    np.savez(folder / "good.npz", **arrays())
    line = ["train", str(folder / "good.npz"), "--method", "ce", "--epochs", "1", "--model", "linear"]
    assert run([*line, "--out", str(folder / "model")]) == 0
    return folder / "model"


def generated(trained: Path) -> Iterator[Case]:
    """COUNT different cases, as many of each kind."""
    rng = random.Random(SEED)
    makers: list[Callable[[random.Random], Case]] = [
        option,
        unread,
        method,
        table,
        role,
        array,
        images,
        place,
        call,
        call,
        lambda r: model(r, trained),
    ]
    seen: set[str] = set()
    while len(seen) < COUNT:
        for make in makers:
            case = make(rng)
            if f"{case.kind} {case.name}" not in seen and len(seen) < COUNT:
                seen.add(f"{case.kind} {case.name}")
                yield case


@pytest.fixture
def bounded() -> Iterator[None]:
    """No more than BYTES beyond what the tests have, and an alarm after SECONDS."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    has = int(next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmData" in line).split()[1])
    resource.setrlimit(resource.RLIMIT_DATA, (has * 1024 + BYTES, before[1]))

    def late(*_: Any) -> None:
        raise AssertionError(f"took more than {SECONDS} s")

    old = signal.signal(signal.SIGALRM, late)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)
    resource.setrlimit(resource.RLIMIT_DATA, before)


def wrong(case: Case, capsys: pytest.CaptureFixture[str]) -> str:
    """What is not as it should be about a refusal; empty where it is one short line."""
    if callable(case.bad):
        try:
            case.bad()
        except (ValueError, TypeError) as error:
            told = str(error)
            ours = _raised_in(error).startswith(OURS)
            return "" if ours and "\n" not in told and len(told) < LINE else f"{type(error).__name__}: {told[:500]!r}"
        except Exception as error:
            return f"{type(error).__name__}: {str(error)[:500]!r}"
        return "was taken"
    code = run(case.bad)
    out, err = capsys.readouterr()
    if code != 2 or out or not err.startswith("longtail: error: ") or err.count("\n") != 1 or len(err) > LINE:
        return f"exit {code}, {len(out)} characters out, {err[:600]!r}"
    return "" if err.strip().isprintable() else f"cannot be printed: {err[:300]!r}"


def _raised_in(error: BaseException) -> str:
    """The file whose line raised the error."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return "" if last is None else last.tb_frame.f_code.co_filename


def test_every_generated_bad_input_is_one_short_line(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], bounded: None
) -> None:
    found = []
    for i, case in enumerate(generated(trained)):
        folder = tmp_path / str(i)
        folder.mkdir()
        monkeypatch.chdir(folder)
        case.files(folder)
        capsys.readouterr()
        signal.alarm(SECONDS)
        start = time.monotonic()
        told = wrong(case, capsys)
        signal.alarm(0)
        if told:
            found.append(f"{case} ({time.monotonic() - start:.1f} s): {told}")
    assert not found, f"{len(found)} of {COUNT}:\n" + "\n".join(found)


def test_the_good_twins_pass(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found, seen = [], set()
    for i, case in enumerate(generated(trained)):
        key = str(case.good) if isinstance(case.good, list) else case.name.split(" {")[0]
        if key in seen:
            continue
        seen.add(key)
        folder = tmp_path / str(i)
        folder.mkdir()
        monkeypatch.chdir(folder)
        case.good_files(folder)
        if callable(case.good):
            case.good()
        elif (code := run(case.good)) != 0:
            found.append(f"{case.good}: exit {code}, {capsys.readouterr().err[:300]}")
    assert not found, "\n".join(found)
    assert len(seen) > 40
