"""Run every benchmark that a CPU can, one result file each; interrupted, the same command goes on with the next one.

    python -m benchmarks.all --out DIR [--tables TABLES] [--cifar CIFAR10]

A benchmark whose result is in the folder is not run again. Data are named by options or by the environment; what needs
absent data is skipped with its reason. Times are those of two cores; quick ones come first. `--studies` adds what
compares methods, not speed: hours.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.command import argument_parser

DATA = {
    "tables": ("LONGTAIL_BENCH_TABLES", "folder with ecoli.csv, winequality-white.csv and mammography.csv"),
    "cifar": ("LONGTAIL_BENCH_CIFAR", "folder with CIFAR-10's train-*.parquet and test-*.parquet"),
}
"""Option -> the variable of the environment that it defaults to, and what it names."""
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "KINETO_LOG_LEVEL": "99"}


@dataclass(frozen=True)
class Benchmark:
    """A module of benchmarks with its arguments; the minutes that it is expected to take; the data that it needs."""

    command: str
    minutes: float
    needs: tuple[str, ...] = ()


SPEED = {
    "loss-calls.json": Benchmark("loss_calls", 0.3),
    "loss-calls-kernels.json": Benchmark("loss_calls --kernels", 0.3),
    "intervals.json": Benchmark("intervals", 0.5),
    "small-data.json": Benchmark("small_data --tables {tables}", 1.5, ("tables",)),
    "profile-cpu.txt": Benchmark("profile_step", 1),
    "losses-cpu.json": Benchmark("losses --rounds 30", 3),
    "sampling.json": Benchmark("sampling --repeats 3", 4),
    "train-step-cpu.json": Benchmark("train_step --compile --rounds 6 --steps 3", 4),
    "contrast.json": Benchmark("contrast", 3),
    "weighting-cpu.json": Benchmark("weighting", 6),
    "updates-cpu.json": Benchmark("updates --rounds 10 --steps 5", 10),
    "projection.json": Benchmark("projection", 6),
    "unlabelled-memory.json": Benchmark("unlabelled_memory", 4),
    "data-images.json": Benchmark("data images", 3),
    "data-table.json": Benchmark("data table", 4),
    "dry-run.json": Benchmark("dry_run --tables {tables} --repeats 2", 12, ("tables",)),
    "precision-digits.json": Benchmark("precision", 12),
}
"""Name of the result -> the benchmark."""
STUDIES = {
    "meta-weights.json": Benchmark("meta_weights", 1),
    "convergence.json": Benchmark("convergence", 10),
    "absgd-toy.json": Benchmark("absgd_toy", 20),
    "absgd-digits.json": Benchmark("absgd_digits --jobs 2", 60),
    "honesty.csv": Benchmark("honesty", 30),
    "honesty-practice.csv": Benchmark("honesty --methods practice --seeds 1 --val 0.2", 30),
    "deferral-choose.json": Benchmark("deferral choose --tables {tables} --cifar {cifar} --photos {photos}", 180,
                                      ("tables", "cifar")),
    "deferral-test.json": Benchmark("deferral test --tables {tables} --cifar {cifar} --photos {photos}", 120,
                                    ("tables", "cifar")),
}  # fmt: skip


def run(file: str, benchmark: Benchmark, out: Path, data: dict[str, Path | None]) -> str:
    """Run a benchmark, and return how it ended; its files come into the folder when it has ended well.

    Until then they are in a folder of their own, which a benchmark that can goes on from.
    """
    if (out / file).exists():
        return "finished before"
    for name in benchmark.needs:
        path = data[name]
        if path is None or not path.is_dir():
            return f"skipped: no --{name}, a {DATA[name][1]}"
    unfinished = out / f"{file}.unfinished"
    unfinished.mkdir(parents=True, exist_ok=True)
    words = [word.format(**data, photos=out / "photos") for word in shlex.split(benchmark.command)]
    command = [sys.executable, "-m", f"benchmarks.{words[0]}", "--out", str(unfinished / file), *words[1:]]
    start = time.monotonic()
    done = subprocess.run(command, env={**os.environ, **ENVIRONMENT}, check=False)
    if done.returncode or not (unfinished / file).exists():
        return f"failed with {done.returncode}"
    for path in sorted(unfinished.iterdir(), key=lambda path: path.name == file):  # its own last: it says finished
        path.replace(out / path.name)
    unfinished.rmdir()
    return f"{(time.monotonic() - start) / 60:.1f} minutes"


def main() -> None:
    """Run what is missing, and say after each what is to come."""
    parser = argument_parser(__doc__)
    parser.set_defaults(out=Path("build/benchmarks"))
    for name, (variable, meaning) in DATA.items():
        default = os.environ.get(variable)
        parser.add_argument(f"--{name}", type=Path, default=default and Path(default), help=f"{meaning}; or {variable}")
    parser.add_argument("--only", nargs="+", choices=[*SPEED, *STUDIES], metavar="RESULT", help="names of results")
    parser.add_argument("--studies", action="store_true", help="comparisons of methods too")
    parser.add_argument("--list", action="store_true", help="print commands and minutes, measure nothing")
    given = parser.parse_args()
    known = SPEED | STUDIES
    chosen = given.only or [*SPEED, *(STUDIES if given.studies else ())]
    data = {name: getattr(given, name) for name in DATA}
    for i, file in enumerate(chosen, 1):
        print(f"[{i}/{len(chosen)}] {file}: about {known[file].minutes:g} minutes, {known[file].command}", flush=True)
        if not given.list:
            try:
                print(f"[{i}/{len(chosen)}] {file}: {run(file, known[file], given.out, data)}", flush=True)
            except KeyboardInterrupt:
                sys.exit("interrupted; the same command goes on from here")


if __name__ == "__main__":
    main()
