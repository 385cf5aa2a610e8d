"""The benchmarks run: their parts by themselves, and the measurement of a GPU as a whole, with a CPU in its place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks import all as benchmark
from benchmarks import cifar_file, export_cifar, image_steps, kernels, semi_file
from benchmarks.gpu import isolated
from benchmarks.gpu.__main__ import SECTIONS, file_name, main
from benchmarks.gpu.setting import NotMeasuredError, Result, Setting
from benchmarks.turns import Stepper, Variant, measure
from tests import gpu_tables

from longtail.comparison.benchmarks import BENCHMARKS
from longtail.data import load
from tiny_cifar import tiny_cifar

ROOT = Path(__file__).parents[1]
CPU = Setting("cpu", None, small=True)
# pytest's own threads do nothing that a child would wait for
pytestmark = [
    pytest.mark.slow,  # they start processes
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


def yields_then_fails(setting: Setting) -> Iterator[Result]:
    yield {"first": 1}
    raise ValueError("as planned")


def yields_then_hangs(setting: Setting) -> Iterator[Result]:
    yield {"first": 1}
    time.sleep(60)


def dies(setting: Setting) -> Iterator[Result]:
    yield {"first": 1}
    os._exit(3)


def has_no_data(setting: Setting) -> Iterator[Result]:
    yield {"first": 1}
    raise NotMeasuredError("no data")


@pytest.mark.parametrize(
    ("section", "limit", "ending"),
    [
        (yields_then_fails, 30, {"finished": False, "error": "ValueError: as planned"}),
        (yields_then_hangs, 1, {"finished": False, "error": "stopped after 1 s"}),
        (dies, 30, {"finished": False, "error": "the process of the section died"}),
        (has_no_data, 30, {"finished": True, "not measured": "no data"}),
    ],
)
def test_a_section_ends_by_itself_and_its_parts_are_known(section: Any, limit: float, ending: Result) -> None:
    parts: Result = {}
    found = isolated.run(section, CPU, limit, parts.update)
    assert found.pop("seconds") < 20
    assert found == ending
    assert parts == {"first": 1}


def sleeper(seconds: float, device: str) -> Stepper:
    return partial(time.sleep, seconds)


def breaks_at(step: int, device: str) -> Stepper:
    steps = iter(range(step))

    def one() -> None:
        if next(steps, None) is None:
            raise RuntimeError("out of steps")

    return one


def test_variants_take_turns_and_one_that_fails_does_not_end_the_others() -> None:
    variants = {"slow": Variant(partial(sleeper, 0.02)), "fast": Variant(partial(sleeper, 0.01))}
    variants |= {"never": Variant(partial(breaks_at, 0)), "late": Variant(partial(breaks_at, 7))}
    found = measure(variants, rounds=3, steps=2, threads=1, device="cpu", start="fork")
    assert len(found["slow"].seconds) == len(found["fast"].seconds) == 3
    assert found["slow"].seconds[0] >= 0.02
    assert found["fast"].row(found["slow"])["ratio"] < 1
    assert found["never"].row(found["slow"]) == {"error": "RuntimeError: out of steps"}
    assert len(found["late"].seconds) == 2  # of 7 steps one is the first, and two warm up
    assert "error" in found["late"].row(found["slow"])


def test_a_variant_that_does_not_answer_has_failed() -> None:
    found = measure({"hangs": Variant(partial(sleeper, 60))}, 1, 1, 1, "cpu", patience=0.5, start="fork")
    assert found["hangs"].row(found["hangs"]) == {"error": "TimeoutError: no answer after 0 s"}


def test_cifar_in_one_file_is_the_same_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiny_cifar(tmp_path, monkeypatch)
    file = tmp_path / "cifar.npz"
    export_cifar.main(["--data-dir", str(data), "--out", str(file), "--ratio", "10"])
    splits, read = load("cifar10", data_dir=data, ratio=10), cifar_file.read(file)
    assert (read.hash, read.facts, read.name) == (splits.hash, splits.facts, splits.name)
    assert read.preparation == splits.preparation
    assert read.train.augment == splits.train.augment


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("cifar10-lt-100-labeled-1500-unlabeled-3000", {"labeled": 8, "unlabeled_size": 10}),
        ("cifar10-lt-50-ambiguity-0.3", {}),
    ],
)
def test_cifar_with_hidden_labels_in_one_file_is_the_same_data(
    name: str, hidden: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = replace(BENCHMARKS[name], ratio=4.0, **hidden)  # the stand-in is small
    monkeypatch.setitem(BENCHMARKS, name, asked)
    data, file = tiny_cifar(tmp_path, monkeypatch), tmp_path / "cifar.npz"
    export_cifar.main(["--data-dir", str(data), "--out", str(file), "--benchmark", name])
    splits, read = load("cifar10", data_dir=data, **asked.options), cifar_file.read(file)
    assert (read.hash, read.facts, read.notes) == (splits.hash, splits.facts, splits.notes)
    assert splits.truth is not None
    assert splits.truth.equal(read.truth)  # type: ignore[arg-type]
    assert (read.unlabeled is None) == (splits.unlabeled is None) == (not hidden)
    assert read.train.kind == splits.train.kind == ("given" if hidden else "candidates")
    if read.unlabeled is not None and splits.unlabeled is not None:
        assert read.unlabeled.augment == splits.unlabeled.augment
    folder = ["--data-dir", str(data), "--out", str(tmp_path / "folder"), "--benchmark", name]
    if read.unlabeled is None:
        with pytest.raises(SystemExit):
            export_cifar.main(folder)
        return
    export_cifar.main(folder)
    photos = load(tmp_path / "folder", unlabeled="same", size=32)
    assert torch.equal(photos.class_counts, splits.class_counts)
    assert len(photos.unlabeled or ()) == len(read.unlabeled)


def test_few_labels_on_a_gpu_with_a_cpu_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, command = tmp_path / "semi.json", ["--device", "cpu", "--small", "--out", str(tmp_path)]
    semi_file.main([*command, "--limit", "1"])  # seconds that are over when the runs begin
    assert "0 of 3 finished; resume" in capsys.readouterr().out
    result = json.loads(out.read_text())
    assert result["plan"]["eager"]["fixmatch"] == result["plan"]["eager"]["fixmatch-abc"] == {}
    assert result["plan"]["eager"]["fixmatch-darp"]
    assert result["projection"]["cpu"]["residual"] <= 1e-9
    for side_by_side in (True, False):
        result["plan"]["side_by_side"] = side_by_side
        out.write_text(json.dumps(result))
        limit = 31.0 if side_by_side else 480.0  # each stops after an epoch, and goes on
        monkeypatch.setattr(semi_file, "SPARE", 30.9 if side_by_side else 30.0)
        semi_file.main([*command, "--limit", str(limit)])
        result = json.loads(out.read_text())
    runs = result["runs"]
    assert list(runs) == list(semi_file.METHODS)
    assert all(run["epochs"] == 2 and run["steps"] == 6 and 0 < run["gm"] <= 100 for run in runs.values())
    assert runs["fixmatch"]["changed"] == [None, None]
    assert runs["fixmatch-darp"]["changed"][1] > 0
    assert runs["fixmatch-darp"]["published"]["Wang et al. 2022 (USB), repository ≠"] == 78.5


def test_kernels_and_image_steps_measure_what_they_say() -> None:
    x, y = kernels.rings(0, (50, 20, 5))
    assert x.shape == (75, 2 + kernels.EXTRA)
    assert np.bincount(y).tolist() == [50, 20, 5]
    assert kernels.accuracy(np.array([0, 0, 1, 0, 2]), np.array([0, 0, 1, 1, 2])) == 83.3
    assert image_steps.milliseconds("convnet", 8) > 0


def test_every_benchmark_of_the_list_exists_and_has_a_committed_result() -> None:
    for file, one in (benchmark.SPEED | benchmark.STUDIES).items():
        assert find_spec(f"benchmarks.{one.command.split()[0]}"), file
        assert (ROOT / "benchmarks" / "results" / file).exists(), file


def test_a_finished_benchmark_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = []

    def ran(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command[2:])
        out = Path(command[4])
        if len(commands) > 1:  # the first is interrupted
            out.with_suffix(".csv").write_text("beside")
            out.write_text("{}")
        return subprocess.CompletedProcess(command, int(len(commands) == 1))

    monkeypatch.setattr(subprocess, "run", ran)
    one = benchmark.Benchmark("intervals --repetitions 2", 1)
    run = partial(benchmark.run, "intervals.json", one, tmp_path, {"tables": None})
    assert run() == "failed with 1"
    assert run().endswith("minutes")
    assert run() == "finished before"
    unfinished = tmp_path / "intervals.json.unfinished"
    assert commands == [["benchmarks.intervals", "--out", str(unfinished / "intervals.json"), "--repetitions", "2"]] * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["intervals.csv", "intervals.json"]
    assert benchmark.run("x.json", replace(one, needs=("tables",)), tmp_path, {"tables": None}).startswith(
        "skipped: no"
    )


def test_the_file_of_a_card_is_named_after_it() -> None:
    assert file_name({"gpu": "NVIDIA H200"}) == "gpu-nvidia-h200.json"
    assert file_name({"cpu": "x"}) == "smoke-test.json"


def test_sections_fit_into_eight_minutes_and_have_tables() -> None:
    assert sum(planned.seconds for planned in SECTIONS.values()) <= 480
    assert list(gpu_tables.TABLES) == ["step", "trainings", "losses", "methods", "gpu tests", "fast tests"]
    assert set(gpu_tables.TABLES) == set(SECTIONS)


def test_files_of_one_card_have_one_heading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file, card, section in (("a", "A", "losses"), ("b", "B", "step"), ("a-step", "A", "step")):
        machine = {"gpu": card, "command": f"python -m benchmarks.gpu --data ../x.npz --sections {section}"}
        result = {"machine": machine, "sections": {section: {"result": {}, "error": "stopped"}}}
        (tmp_path / f"gpu-{file}.json").write_text(json.dumps(result))
    monkeypatch.setattr(gpu_tables, "RESULTS", tmp_path)
    lines = gpu_tables.measured().splitlines()
    assert [line for line in lines if line.startswith("#")] == ["### A", "### B"]
    assert sum("`python -m benchmarks.gpu --data x.npz --sections step`" in line for line in lines) == 2
    assert [line for line in lines if line.startswith("**")] == [
        "**Step**: stopped", "**Losses**: stopped", "**Step**: stopped"
    ]  # fmt: skip


def test_the_measurement_of_a_gpu_runs_with_a_cpu_in_its_place(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": "src", "KINETO_LOG_LEVEL": "99", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--small", "--out", str(tmp_path)]
    run = partial(subprocess.run, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    done = run(command)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "smoke-test.json").read_text())
    sections = {name: entry["result"] for name, entry in result["sections"].items()}
    assert all(entry["finished"] and "not measured" not in entry for entry in result["sections"].values()), done.stdout
    for name in ("plain loop", "eager", "captured", "captured, two at once"):
        assert sections["step"][name]["seconds_per_epoch"] > 0, name
    assert sections["step"]["captured, six at once"] == {"not measured": "needs a GPU"}
    assert {"accuracy", "published", "epochs", "seconds"} <= sections["trainings"]["ldam-drw"].keys()
    assert {"ce", "logit-adjusted-posthoc"} <= sections["trainings"].keys()
    assert sections["losses"]["(128, 10)"]["LDAMLoss"]["ratio"] > 0
    assert sections["methods"]["absgd"]["ratio"] > 0
    assert sections["methods"]["absgd, captured"]["ratio"] > 0
    assert sections["gpu tests"]["failed"] == 0
    assert sections["fast tests"]["passed"] > 0
    tables = gpu_tables.tables(result)
    assert "| captured, six at once | needs a GPU |" in tables
    assert "| ldam-drw | 10.0 | 77.0 to 78.0 (3) | 1 |" in tables
    again = subprocess.run(
        [*command, "--resume"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert "finished" not in again.stdout  # nothing is measured twice


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_command_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu"])
    with pytest.raises(SystemExit):
        main()
    assert "--device cuda needs a GPU" in capsys.readouterr().err
