"""The measurements of a comparison as rows of the ledger: self-contained, with machine and command, no date."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from longtail.comparison.benchmarks import Benchmark
from longtail.runs.run import Run


def measured_rows(
    benchmark: Benchmark, summary: dict[str, Any], out: Path, deviations: list[str]
) -> list[dict[str, Any]]:
    """Return a row per method with finished runs; errors are top-1 on the balanced test part, in percent."""
    rows = []
    for compared in summary["rows"]:
        runs = [Run.load(out / run["folder"]) for run in compared["runs"]]
        row = {"benchmark": benchmark.name, **_row(summary, compared, runs), "deviations": deviations}
        rows.append({**row, "command": command(benchmark.name, summary, row)})
    return rows


def _row(summary: dict[str, Any], compared: dict[str, Any], runs: list[Run]) -> dict[str, Any]:
    evaluated = [evaluated_errors(run) for run in runs]
    counts = sorted({len(errors) for errors in evaluated})
    return {
        "method": compared["method"],
        "key": compared["key"],
        "epochs": summary["recipe"]["epochs"],
        "seeds": [run["seed"] for run in compared["runs"]],
        # under "own" a paper without changes of its own is trained with the common recipe
        "recipe": "own" if compared["recipe_changes"] else "common",
        "recipe_changes": compared["recipe_changes"],
        "threads": max(run.config["threads"] for run in runs),
        "precision": _joined([run.config["precision"] for run in runs]),
        "last": _spread([errors[-1] for errors in evaluated]),
        # the records have the scores of the network alone, without a post-hoc rule
        "best_test": _spread([min(errors) for errors in evaluated]) if compared["retrains"] else None,
        "evaluations": counts[0] if len(counts) == 1 else counts,
        "seconds": compared["seconds"],
        "images_per_second": images_per_second(runs),
        "reuses": compared["reuses"],
        "machine": _joined([_machine(run.config) for run in runs]),
        "cpu_flags": sorted({flag for run in runs for flag in run.config.get("machine", {}).get("flags", [])}),
    }


def error(accuracy: float) -> float:
    """Return the top-1 error in percent."""
    return 100.0 * (1.0 - accuracy)


def evaluated_errors(run: Run) -> list[float]:
    """Return the error of every evaluation on the test part; the last is that of the final scores."""
    errors = [error(record["scores"]["accuracy"]) for record in run.records if "scores" in record]
    return [*errors[:-1], error(run.scores["accuracy"])]


def images_per_second(runs: list[Run]) -> float | None:
    """Return training images per second of training, evaluations and predictions not counted."""
    records = [record for run in runs for record in run.records]
    seconds = sum(record["seconds"] for record in records)
    return sum(record["examples"] for record in records) / seconds if seconds > 0 else None


def command(name: str, summary: dict[str, Any], row: dict[str, Any]) -> str | None:
    """Return the command that reproduces a row, without the data folder; None where no option gives its recipe."""
    if any(not deviation.startswith("epochs ") for deviation in row["deviations"]):
        return None
    recipe, method, evaluations = summary["recipe"], row["method"], row["evaluations"]
    words = ["longtail", "reproduce", name, "--methods", f'"{method}"' if "(" in method else method]
    words += ["--seeds", str(1 + max(row["seeds"])), "--epochs", str(row["epochs"])]
    words += ["--evaluations", str(evaluations if isinstance(evaluations, int) else max(evaluations))]
    words += ["--recipe", row["recipe"]] if row["recipe"] != "common" else []
    words += ["--precision", recipe["precision"]] if recipe["precision"] != "auto" else []
    return " ".join([*words, *(["--device", "cuda"] if "GPU " in row["machine"] else [])])


def _spread(values: list[float]) -> dict[str, float | None]:
    return {"mean": statistics.fmean(values), "std": statistics.stdev(values) if len(values) > 1 else None}


def _machine(config: dict[str, Any]) -> str:
    facts = config.get("machine", {})
    cpu = f"{facts.get('cpu', 'unknown CPU')}, {facts.get('cores', '?')} cores"
    return f"GPU {facts['gpu']}, {cpu}" if "gpu" in facts else cpu


def _joined(words: list[str]) -> str:
    """Return the word that all runs share, or each of them where runs differ."""
    return " + ".join(dict.fromkeys(words))
