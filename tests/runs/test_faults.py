"""Whatever happens to a training on CIFAR: the same predictions to the byte, or one clear line; never another result.

Every case is a real process that runs the command line's own error handling around a training on a few random
images in the hub's layout.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.forked import Forked

from longtail.comparison import compare
from longtail.engine.lock import exclusive
from tiny_cifar import NAMES, png, save, write

EPOCHS = 6
TRAIN = f"""
import os, resource, sys, time
from longtail import cli
from longtail.data import cifar, load
cifar.SOURCES["cifar10"] = cifar.Source("nowhere/tiny", "label", 10, "airplane", 20)

def hook(record):
    pass

def job(**_):
    from longtail.methods.recipes import default_recipe
    from longtail.methods.train import train
    splits = prepared(load("cifar10", data_dir=sys.argv[1], ratio=10))
    network = dict(blocks=1, widths=[4, 8, 16])
    recipe = default_recipe(splits, epochs={EPOCHS}, batch_size=16, model_args=network, precision="auto")
    train("ldam-drw", splits, folder=sys.argv[2], recipe=recipe, threads=1, on_epoch=lambda record: hook(record))
    return 0

def prepared(splits):
    return splits

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))  # what a full disk is to one process

def pause(marker):
    open(marker, "w").close()
    time.sleep(600)

cli.command = lambda: job
"""


class Place:
    """The images, a cache and a place for runs."""

    def __init__(self, folder: Path) -> None:
        self.data, self.cache, self.out, self.marker = (folder / n for n in ("data", "cache", "run", "paused"))

    def start(self, change: str = "", out: Path | None = None) -> Forked:
        """The training in a process group of its own; `change` is Python that stands before it."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "LONGTAIL_CACHE": str(self.cache)}
        return Forked(f"{TRAIN}\n{change}\ncli.main()", [str(self.data), str(out or self.out)], environment)

    def finish(self, change: str = "", out: Path | None = None) -> str:
        """Run to the end; what it said."""
        process = self.start(change, out)
        said = "".join(process.communicate(timeout=300))
        assert process.returncode == 0, said
        return said

    def fail(self, change: str = "", out: Path | None = None) -> str:
        """Run into a fault: exit code 2 and one line, which comes back."""
        return refused(self.start(change, out))

    def kill_after(self, epoch: int) -> None:
        """SIGKILL once this epoch and its checkpoint are on disk."""
        self.kill_at(f"def hook(record):\n    if record['epoch'] == {epoch}: pause({str(self.marker)!r})")

    def kill_at(self, change: str) -> None:
        """SIGKILL to the whole process group once `change` pauses."""
        process = self.paused(change)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def paused(self, change: str) -> Forked:
        process = self.start(change)
        deadline = time.monotonic() + 120
        while not self.marker.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "the moment never came"
            time.sleep(0.01)
        self.marker.unlink()
        return process

    @property
    def checkpoint(self) -> Path:
        return self.out / "checkpoint" / "state.safetensors"

    def lines(self) -> list[str]:
        path = self.out / "metrics.jsonl"
        return path.read_text().splitlines() if path.exists() else []

    def predictions(self, out: Path | None = None) -> bytes:
        """Of a run that is whole: one line for every epoch, nothing half-written."""
        folder = out or self.out
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["epoch"] for line in lines] == list(range(1, EPOCHS + 1))
        assert not list(folder.rglob("*.tmp"))
        return (folder / "predictions.safetensors").read_bytes()


def refused(process: Forked) -> str:
    said, line = process.communicate(timeout=300)
    assert process.returncode == 2, (said, line)
    assert said == ""
    assert line.startswith("longtail: error: "), line
    assert line.count("\n") == 1, line
    return line


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("images"))
    write(place.data, "train", 20)
    write(place.data, "test", 3, seed=1)
    return place


@pytest.fixture(scope="module")
def undisturbed(images: Place) -> bytes:
    images.finish()
    return images.predictions()


@pytest.fixture
def place(tmp_path: Path, images: Place, undisturbed: bytes) -> Place:
    """The same images, already decoded."""
    found = Place(tmp_path)
    found.data, found.cache = images.data, images.cache
    return found


@pytest.mark.slow
class TestKilled:
    def test_between_two_epochs(self, place: Place, undisturbed: bytes) -> None:
        place.kill_after(5)  # behind the switch of the deferred method at 80 %
        before = place.lines()
        assert len(before) == 5
        place.finish()
        assert place.lines()[:5] == before  # their measured seconds are the old ones: it went on
        assert place.predictions() == undisturbed

    @pytest.mark.parametrize("half", [False, True], ids=["written", "half-written"])
    def test_while_a_checkpoint_is_being_written(self, place: Place, undisturbed: bytes, half: bool) -> None:
        place.kill_at(f"""
replace, seen = os.replace, []
def pausing(source, target):
    seen.extend([1] if str(target).endswith("state.safetensors") else [])
    if len(seen) == 3:
        pause({str(place.marker)!r})
    replace(source, target)
os.replace = pausing
""")
        (temporary,) = place.checkpoint.parent.glob("*.tmp")
        before = place.lines()
        assert len(before) == 3  # its line is there, its checkpoint is not
        if half:
            temporary.write_bytes(temporary.read_bytes()[:1000])
        place.finish()
        assert place.lines()[:2] == before[:2]
        assert place.predictions() == undisturbed

    def test_while_predictions_are_being_written(self, place: Place, undisturbed: bytes) -> None:
        place.kill_at(f"""
replace = os.replace
def pausing(source, target):
    if str(target).endswith("model.safetensors"):
        pause({str(place.marker)!r})
    replace(source, target)
os.replace = pausing
""")
        before = place.lines()
        place.finish()
        assert place.lines() == before
        assert place.predictions() == undisturbed

    def test_while_the_cache_is_being_written(self, place: Place, undisturbed: bytes, tmp_path: Path) -> None:
        place.cache = tmp_path / "cache"
        place.kill_at(f"""
replace = os.replace
def pausing(source, target):
    if "cache/cifar10" in str(target):
        pause({str(place.marker)!r})
    replace(source, target)
os.replace = pausing
""")
        assert not list(place.cache.glob("*.safetensors"))
        place.finish()
        assert place.predictions() == undisturbed


@pytest.mark.slow
class TestTheCheckpoint:
    @pytest.mark.parametrize(
        "damage", ["truncated", "emptied", "changed", "removed", "folder removed", "lines removed"]
    )
    def test_damaged_or_gone_begins_anew_and_ends_the_same(self, place: Place, undisturbed: bytes, damage: str) -> None:
        place.kill_after(3)
        whole = place.checkpoint.read_bytes()
        changed = bytearray(whole)
        changed[-100] ^= 1  # in a weight: no header tells
        if damage == "removed":
            place.checkpoint.unlink()
        elif damage == "folder removed":
            shutil.rmtree(place.checkpoint.parent)
        elif damage == "lines removed":
            (place.out / "metrics.jsonl").unlink()
        else:
            content = {"truncated": whole[:-100], "emptied": b"", "changed": bytes(changed)}
            place.checkpoint.write_bytes(content[damage])
        said = place.finish()
        assert place.predictions() == undisturbed
        assert ("beginning this run anew" in said) == ("removed" not in damage or damage == "lines removed")

    def test_read_only_goes_on(self, place: Place, undisturbed: bytes) -> None:
        place.kill_after(3)
        before = place.lines()
        place.checkpoint.chmod(0o444)
        place.finish()
        assert place.lines()[:3] == before
        assert place.predictions() == undisturbed

    def test_that_cannot_be_read_is_one_line_and_kept(self, place: Place, undisturbed: bytes) -> None:
        place.kill_after(3)
        before, aside = place.lines(), place.out / "aside"
        place.checkpoint.rename(aside)
        place.checkpoint.mkdir()
        assert f"{place.checkpoint} cannot be read" in place.fail()
        place.checkpoint.rmdir()
        aside.rename(place.checkpoint)
        place.finish()
        assert place.lines()[:3] == before
        assert place.predictions() == undisturbed

    def test_whose_folder_cannot_be_written_is_one_line_before_any_epoch(
        self, place: Place, undisturbed: bytes
    ) -> None:
        place.kill_after(3)
        before, aside = place.lines(), place.out / "aside"
        place.checkpoint.parent.rename(aside)
        place.checkpoint.parent.write_text("")  # a file in its place: root writes into read-only folders
        line = place.fail()
        assert f"{place.checkpoint.parent} cannot be used" in line
        assert "finished work is kept" in line
        assert place.lines() == before
        place.checkpoint.parent.unlink()
        aside.rename(place.checkpoint.parent)
        place.finish()
        assert place.lines()[:3] == before
        assert place.predictions() == undisturbed

    @pytest.mark.skipif(os.geteuid() == 0, reason="root writes into read-only folders")
    def test_in_a_read_only_folder_is_one_line(self, place: Place, undisturbed: bytes) -> None:
        place.kill_after(3)
        place.checkpoint.parent.chmod(0o555)
        try:
            assert "cannot be used (Permission denied)" in place.fail()
        finally:
            place.checkpoint.parent.chmod(0o755)
        place.finish()
        assert place.predictions() == undisturbed


@pytest.mark.slow
class TestADiskThatIsFull:
    @pytest.mark.parametrize(
        ("epoch", "limit", "name"),
        [
            (3, "os.path.getsize(sys.argv[2] + '/metrics.jsonl') + 20", "metrics.jsonl"),
            (3, "2000", "checkpoint/state.safetensors"),
            (EPOCHS, "500", "predictions.safetensors"),
        ],
    )
    def test_is_one_line_and_finished_epochs_are_kept(
        self, place: Place, undisturbed: bytes, epoch: int, limit: str, name: str
    ) -> None:
        line = place.fail(f"def hook(record):\n    if record['epoch'] == {epoch}: limit({limit})")
        assert f"{place.out / name} cannot be used (File too large); finished work is kept" in line
        assert not (place.out / "run.json").exists()
        before = place.lines()
        assert len(before) >= epoch
        place.finish()
        assert place.lines()[:epoch] == before[:epoch]
        assert place.predictions() == undisturbed

    def test_for_the_cache_costs_nothing_but_time(self, place: Place, undisturbed: bytes, tmp_path: Path) -> None:
        place.cache = tmp_path / "cache"
        said = place.finish("limit(80_000)")
        assert "cannot be written" in said
        assert not list(place.cache.iterdir())
        assert place.predictions() == undisturbed


@pytest.mark.slow
class TestImagesThatAreDamaged:
    def test_a_truncated_parquet_file(self, place: Place, images: Place, tmp_path: Path) -> None:
        place.data = shutil.copytree(images.data, tmp_path / "data")
        path = place.data / "train-00000-of-00001.parquet"
        path.write_bytes(path.read_bytes()[: os.path.getsize(path) // 2])
        assert "download the files again" in place.fail()
        assert not place.out.exists()

    def test_a_parquet_file_with_other_bytes_in_it(self, place: Place, images: Place, tmp_path: Path) -> None:
        place.data = shutil.copytree(images.data, tmp_path / "data")
        path = place.data / "train-00000-of-00001.parquet"
        content = bytearray(path.read_bytes())
        content[5000:9000] = bytes(4000)
        path.write_bytes(content)
        assert "cannot be read" in place.fail()
        assert not place.out.exists()

    def test_an_image_that_does_not_decode(self, place: Place, images: Place, tmp_path: Path) -> None:
        place.data = shutil.copytree(images.data, tmp_path / "data")
        good = png(np.zeros((32, 32, 3), dtype=np.uint8))
        save(place.data / "train-00000-of-00001.parquet", [good, good[:40]], np.array([0, 1]), NAMES)
        assert "image 1 of" in place.fail()
        assert not place.out.exists()

    def test_a_run_does_not_go_on_with_other_images(self, place: Place, images: Place, tmp_path: Path) -> None:
        place.kill_after(3)
        place.data = tmp_path / "other"
        write(place.data, "train", 20, seed=7)
        shutil.copy(images.data / "test-00000-of-00001.parquet", place.data)
        assert "holds another configuration: data.facts.images is" in place.fail()


@pytest.mark.slow
class TestTwoProcesses:
    def test_on_one_empty_cache_end_the_same(self, place: Place, undisturbed: bytes, tmp_path: Path) -> None:
        place.cache = tmp_path / "cache"
        outs = [tmp_path / "a", tmp_path / "b"]
        for process in [place.start(out=out) for out in outs]:
            said = process.communicate(timeout=300)
            assert process.returncode == 0, said
        assert [place.predictions(out) for out in outs] == [undisturbed] * 2
        assert sorted(p.suffix for p in place.cache.iterdir()) == [".safetensors"] * 2

    def test_on_one_run_folder_the_second_is_told_who_holds_it(self, place: Place, undisturbed: bytes) -> None:
        first = place.paused(f"def hook(record):\n    if record['epoch'] == 2: pause({str(place.marker)!r})")
        try:
            before = place.lines()
            line = place.fail()
            assert f"{place.out} is in use by process {first.pid} on host {platform.node()}" in line
            assert place.lines() == before
        finally:
            os.killpg(first.pid, signal.SIGKILL)
            first.communicate()
        place.finish()  # a dead holder holds nothing
        assert place.lines()[:2] == before
        assert place.predictions() == undisturbed

    def test_begun_at_the_same_moment_leave_one_whole_run(self, place: Place, undisturbed: bytes) -> None:
        both = [place.start(), place.start()]
        said = [process.communicate(timeout=300) for process in both]
        codes = sorted(process.returncode for process in both)
        # the second is refused, or came late enough to find the run finished
        assert codes in ([0, 2], [0, 0]), said
        assert all("is in use by" in err for process, (_, err) in zip(both, said, strict=True) if process.returncode)
        assert place.predictions() == undisturbed


MAPPED = """
import torch
from dataclasses import replace
from longtail.data import MappedExamples
from longtail.data.splits import Splits

class Rows:
    def __init__(self, examples):
        self.inputs, self.targets = examples.inputs, examples.targets
    def __getitem__(self, row):
        return self.inputs[row], int(self.targets[row])

def prepared(splits):
    train = splits.train
    mapped = MappedExamples(Rows(train), train.targets, train.classes, identity="x", workers=2, augment=train.augment)
    return replace(splits, train=mapped)
"""

SLOW = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it

def slowly(self, row):
    time.sleep(0.05)
    return self.inputs[row], int(self.targets[row])
Rows.__getitem__ = slowly
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="workers are looked up in /proc")
class TestWorkersThatReadRows:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
    def test_end_with_the_training(self, place: Place, undisturbed: bytes, number: signal.Signals) -> None:
        process = place.start(f"{MAPPED}\n{SLOW}")
        workers = _eventually(lambda: place.lines() and children(process.pid))
        assert workers
        time.sleep(0.1)  # an interrupt inside of fork() is lost to Python
        os.kill(process.pid, number)  # to the training alone, as a scheduler does
        said = process.communicate(timeout=60)
        if number == signal.SIGINT:
            assert (process.returncode, *said) == (
                130,
                "",
                "longtail: interrupted; the same command goes on from here\n",
            )
        assert _eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
        before = len(place.lines())
        place.finish(MAPPED)
        assert len(place.lines()) == EPOCHS > before
        assert place.predictions() == undisturbed


def children(pid: int) -> list[int]:
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


def _eventually(happened, seconds: float = 60):
    deadline = time.monotonic() + seconds
    while not (found := happened()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


@pytest.fixture
def someone_holds(tmp_path: Path) -> Iterator[Path]:
    with exclusive(tmp_path / "out"):
        yield tmp_path / "out"


def test_a_comparison_in_use_is_refused_before_anything_runs(someone_holds: Path) -> None:
    with pytest.raises(ValueError, match=r"out is in use by process \d+ on host"):
        compare("digits", methods="ce", seeds=1, epochs=1, out=someone_holds)
    assert {path.name for path in someone_holds.iterdir()} == {"lock"}
