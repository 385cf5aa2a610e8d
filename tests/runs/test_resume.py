"""Kill -9 at any moment, give the same command again: byte-identical predictions."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.forked import Forked

pytestmark = pytest.mark.slow

EPOCHS = 60  # a deferred method switches at epoch 48
TRAIN = ["train", "digits", "--method", "ldam-drw", "--epochs", str(EPOCHS)]
COMPARE = [
    "compare",
    "digits",
    "--methods",
    "ce,ldam-drw,logit-adjusted-posthoc",
    "--seeds",
    "2",
    "--epochs",
    "20",
]


def start(arguments: list[str], out: Path, driver: str = "") -> Forked | subprocess.Popen[str]:
    """The real command in a process group of its own; `driver` is Python that runs before it."""
    code = f"import sys\n{driver}\nsys.argv = ['longtail', *sys.argv[1:]]\nfrom longtail.cli import main\nmain()"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if arguments is TRAIN:
        return Forked(code, [*arguments, "--out", str(out)], environment)
    return subprocess.Popen(  # a comparison starts workers, from an interpreter of its own
        [sys.executable, "-c", code, *arguments, "--out", str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, env=environment,
    )  # fmt: skip


def finish(arguments: list[str], out: Path) -> None:
    process = start(arguments, out)
    output = process.communicate(timeout=300)
    assert process.returncode == 0, output


def kill_when(process: Forked | subprocess.Popen[str], happened, seconds: float = 120) -> None:
    """SIGKILL to the whole process group as soon as something is seen on disk."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None, f"ended before it could be killed: {process.communicate()}"
        assert time.monotonic() < deadline, "the moment to kill never came"
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def lines(path: Path) -> list[str]:
    """Whole lines; a last one without its newline is still being written."""
    return path.read_text().split("\n")[:-1] if path.exists() else []


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    finish(TRAIN, out)
    return (out / "predictions.safetensors").read_bytes()


@pytest.mark.parametrize("k", [3, 52], ids=["before the switch", "after the switch"])
def test_a_killed_training_goes_on_and_ends_the_same(tmp_path: Path, undisturbed: bytes, k: int) -> None:
    out = tmp_path / "run"
    process = start(TRAIN, out)
    kill_when(process, lambda: len(lines(out / "metrics.jsonl")) >= k)
    before = lines(out / "metrics.jsonl")
    assert k <= len(before) < EPOCHS
    assert not (out / "run.json").exists()

    finish(TRAIN, out)
    after = lines(out / "metrics.jsonl")
    # the lines with their measured seconds are the old ones: it went on, it did not begin again. The last line
    # may have been written before its checkpoint, and is then written anew.
    assert after[: len(before) - 1] == before[:-1]
    assert [json.loads(line)["epoch"] for line in after] == list(range(1, EPOCHS + 1))
    assert (out / "predictions.safetensors").read_bytes() == undisturbed


def test_killed_between_the_temporary_checkpoint_and_its_rename(tmp_path: Path, undisturbed: bytes) -> None:
    out, marker = tmp_path / "run", tmp_path / "paused"
    driver = f"""
import os, time
rename, seen = os.replace, []
def pausing(source, target):
    if "checkpoint" in str(target):
        seen.append(target)
        if len(seen) == 20:
            open({str(marker)!r}, "w").close()
            time.sleep(600)
    rename(source, target)
os.replace = pausing
"""
    process = start(TRAIN, out, driver)
    kill_when(process, marker.exists)
    assert list((out / "checkpoint").glob("state.safetensors.*.tmp"))
    before = lines(out / "metrics.jsonl")
    assert len(before) == 20  # its line is there, its checkpoint is not

    finish(TRAIN, out)
    after = lines(out / "metrics.jsonl")
    assert after[:19] == before[:19]
    assert [json.loads(line)["epoch"] for line in after] == list(range(1, EPOCHS + 1))
    assert (out / "predictions.safetensors").read_bytes() == undisturbed
    assert not list(out.rglob("*.tmp"))


def test_a_damaged_checkpoint_begins_anew_and_ends_the_same(tmp_path: Path, undisturbed: bytes) -> None:
    out = tmp_path / "run"
    kill_when(start(TRAIN, out), lambda: len(lines(out / "metrics.jsonl")) >= 10)
    checkpoint = out / "checkpoint" / "state.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    finish(TRAIN, out)
    assert (out / "predictions.safetensors").read_bytes() == undisturbed


def test_a_killed_comparison_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    straight, out = tmp_path / "straight", tmp_path / "killed"
    finish(COMPARE, straight)
    expected = {p.relative_to(straight): p.read_bytes() for p in straight.glob("*/seed-*/predictions.safetensors")}
    assert len(expected) == 6

    process = start(COMPARE, out)
    finished: list[Path] = []

    def one_is_done_and_another_is_under_way() -> bool:
        finished[:] = out.glob("*/seed-*/run.json")
        begun = [p for p in out.glob("*/seed-*/metrics.jsonl") if not (p.parent / "run.json").exists()]
        return bool(finished and any(len(lines(p)) >= 2 for p in begun))

    kill_when(process, one_is_done_and_another_is_under_way)
    stamps = {path: path.stat().st_mtime_ns for path in finished}
    assert len(list(out.glob("*/seed-*/run.json"))) < 6

    finish(COMPARE, out)
    assert {path: path.stat().st_mtime_ns for path in finished} == stamps  # finished runs were not run again
    found = {p.relative_to(out): p.read_bytes() for p in out.glob("*/seed-*/predictions.safetensors")}
    assert found == expected
    assert {p.name for p in out.iterdir()} >= {"comparison.json", "comparison.csv", "comparison.md"}
