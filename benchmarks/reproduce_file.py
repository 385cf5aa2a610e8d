"""`longtail reproduce` from the file of `export_cifar`, on a machine without the parquet files and their reader.

    PYTHONPATH=src python -m benchmarks.reproduce_file --data cifar10-lt-100.npz --methods ce,vs --out DIR --device cuda

The rows, the recipe, the table beside the published numbers and the folder that it resumes from are those of
`longtail reproduce cifar10-lt-100`, or of another benchmark with --benchmark, for which the file must have been made.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from benchmarks import cifar_file
from benchmarks.command import argument_parser
from benchmarks.machine import facts
from longtail.comparison.benchmarks import benchmark
from longtail.comparison.execute import TaskResult
from longtail.comparison.preparation import prepare
from longtail.comparison.reproduction import METRIC, reproduce_prepared
from longtail.facts.files import write_json


def say(done: TaskResult) -> None:
    """Print how a run ended at once, on a machine that may be gone before all have."""
    ending = done.error
    if ending is None:
        scores = json.loads((done.task.folder / "run.json").read_text())["scores"]
        ending = f"{100 * scores[METRIC]:.2f} % in the last epoch"
    print(f"{done.task.spec}, seed {done.task.seed}: {ending}, {done.seconds:.0f} s", flush=True)


def main() -> None:
    """Train the methods side by side, print ours beside the published numbers, and write both to --out."""
    parser = argument_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the file of benchmarks.export_cifar")
    parser.add_argument("--benchmark", default="cifar10-lt-100", help="what the file was made for")
    parser.add_argument("--methods", required=True)
    parser.add_argument("--epochs", type=int, help="by default those of the published protocol")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--evaluations", type=int, default=10)
    parser.add_argument("--budget", type=float, help="seconds after which no further run is started")
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    if given.out is None:
        parser.error("--out FOLDER is needed; the same command resumes there")
    splits, asked = replace(cifar_file.read(given.data), name=given.benchmark), benchmark(given.benchmark)
    prepared = prepare(
        splits, methods=given.methods, seeds=given.seeds, metric=METRIC, out=given.out, device=given.device,
        **asked.recipe_options(epochs=given.epochs),
    )  # fmt: skip
    result = reproduce_prepared(
        asked, prepared, evaluations=given.evaluations, budget=given.budget, jobs=given.jobs,
        on_result=say,
    )  # fmt: skip
    write_json(given.out / "machine.json", facts())
    print(result)


if __name__ == "__main__":
    main()
